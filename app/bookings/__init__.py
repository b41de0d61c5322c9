"""What is agreed: bookings and their moves, the pupils named in them, their sittings, parents' agreement."""
