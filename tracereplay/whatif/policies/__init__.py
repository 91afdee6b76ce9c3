"""The policies, one file each; `table.py` has them in order."""
