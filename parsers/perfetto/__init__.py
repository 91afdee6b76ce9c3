"""Perfetto traces (perfetto.protos.Trace): the ftrace events in their packets."""
