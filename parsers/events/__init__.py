"""Event tables and the page stream, for every container; which CPUs recorded events, and when."""
