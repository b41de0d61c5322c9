"""What is offered: offers, dated slots with a capacity, their sittings, and the table that every school searches."""
