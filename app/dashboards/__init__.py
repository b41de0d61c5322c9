"""Figures for hubs, trusts, authorities and schools: aggregates only, and what each of them stands on."""
