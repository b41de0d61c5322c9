"""Hubs, trusts, schools, employers, vendors: dated memberships, controllers' agreements, and grants by field group."""
