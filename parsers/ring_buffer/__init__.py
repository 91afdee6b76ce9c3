"""Ring-buffer pages: scanned once, then read as records of all CPUs in time order."""
