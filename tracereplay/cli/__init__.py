"""The command line: one thin file per verb; what they need is imported when they run."""
