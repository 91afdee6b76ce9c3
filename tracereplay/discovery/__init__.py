"""Finds traces and what lies beside them, by their names: for folders as INPUT and for corpora."""
