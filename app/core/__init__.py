"""The floor: database doors, the caller, errors, paging, clocks, egress. Knows no room above it."""
