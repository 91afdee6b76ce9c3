"""Many traces as one corpus: find them, analyse each once, keep the results in a store, sum up and compare."""
