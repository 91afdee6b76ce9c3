"""The result: what a run found, as reports, programs and the Arrow tables see it."""
