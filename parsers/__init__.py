"""Bytes and text -> event tables, kernel-log tables, snapshots. Knows no culprit and no replay."""
