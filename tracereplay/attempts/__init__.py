"""Events -> attempts and their tries: one file per operation."""
