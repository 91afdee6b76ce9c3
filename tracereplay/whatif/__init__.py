"""What would have helped: the trace replayed under other rules of the page allocator and of the attempts."""
