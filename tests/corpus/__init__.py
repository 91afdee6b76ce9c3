"""Corpora: real traces, real child processes, a real store."""
