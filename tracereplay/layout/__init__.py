"""The machine's memory as spans of page frames: zones, memory blocks, pageblocks, CMA areas."""
