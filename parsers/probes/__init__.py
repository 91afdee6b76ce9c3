"""kprobe events read by what `catalog/probes.py` declares: page pointers -> pfns, events -> page stream."""
