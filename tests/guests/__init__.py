"""Recordings made in QEMU guests: the printed script, run on kernels of distributions and of the lab."""
