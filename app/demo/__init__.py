"""The demonstration: a small made-up world of both pilots, and the story that is played in it over HTTP."""
