"""The REST face: translates requests into calls on the rooms, and nothing else."""
