"""What the house announces: events written with the change they tell of, numbered after commit, one audience each."""
