"""HTML files that need nothing else: a page for a result, a page for sections."""
