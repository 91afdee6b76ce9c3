"""Names of tasks over time."""
