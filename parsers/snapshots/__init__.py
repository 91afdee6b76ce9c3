"""Copies of /proc, /sys and debugfs files: the layout of memory, page flags, page_owner, page_pinner."""
