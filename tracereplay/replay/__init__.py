"""The modelled memory: the state of every page frame and the ledger of its references, re-driven in time order."""
