"""The compiled loop over usual lines of trace text; the patterns in `text` read the other lines."""
