"""The result model -> text, JSON, tables. Computes nothing of its own."""
