"""The measurements: `python -m bench`. Ratios hold within one run; single times belong to one machine."""
