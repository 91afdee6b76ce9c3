"""Finds traces and what is beside them, by their names: for folders as INPUT and for corpora."""
