"""What readers of binary records share: cursors, event formats, loading of fields, batches of records."""
