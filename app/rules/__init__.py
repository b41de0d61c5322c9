"""The statute book: pure rules, standard library only, no I/O, `now` is an argument."""
