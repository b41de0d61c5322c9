"""What happened: arrivals, attendance, no-shows and their resolution, encounters and what a school confirms of them."""
