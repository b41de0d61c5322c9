"""The read-only GraphQL face for dashboards: it translates, counts what a document costs, and nothing else."""
