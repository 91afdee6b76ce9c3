"""trace.dat, versions 6 and 7, and ring-buffer pages copied by hand."""
