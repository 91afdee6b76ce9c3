"""What follows from a result and is decided once for every report: judgements, groups of culprits, lanes, rankings."""
