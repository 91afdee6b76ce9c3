"""Text of events: /sys/kernel/tracing/trace, `trace-cmd report`, `perf script`."""
