"""What is said of a corpus, in every format."""
