"""Minutes earned, append-only; balances per pupil and summaries per school, written in the same call."""
