"""The ordered table of causes, what proves each, and the rows they make."""
