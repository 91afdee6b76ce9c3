"""perf.data: files, pipes and directories, compressed or not."""
