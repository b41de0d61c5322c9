"""Pilots: programmes of a hub or a trust, their strands, enrolled schools, targets, allocations and spend."""
