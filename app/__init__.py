"""TenDays: the plumbing of modern work experience. The map of the house is in this docstring (filled in as rooms appear)."""
