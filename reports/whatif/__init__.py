"""What would have helped, in every format."""
