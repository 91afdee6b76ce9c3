"""The result on a terminal: reports, the life of a page, what inputs hold, explanations."""
