"""`make torture`: real processes, `kill -9` at random moments, and an offline check of the recorded history."""
