"""Capture on a live machine: record events, take snapshots, check what a kernel can record."""
