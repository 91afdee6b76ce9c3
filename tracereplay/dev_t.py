"""Device numbers as the kernel keeps them (dev_t, include/linux/kdev_t.h), and the inodes of block devices."""

from __future__ import annotations

from typing import Any

MINOR_BITS = 20
MAX_MAJOR = 0xFFF
# Numbers of super blocks without a device (get_anon_bdev()); one of them is that of the block devices' inodes, made
# in vfs_caches_init() before any that users mount: 0:3 was seen from 6.1 to 6.12, 0:4 in 7.2; the first is never it.
BDEV_FIRST, BDEV_END = 2, 8


def dev_of(major: int, minor: int) -> int:
    """The device number (MKDEV())."""
    return major << MINOR_BITS | minor


def device_number(dev: int) -> str:
    """`254:16`."""
    return f"{dev >> MINOR_BITS}:{dev & ((1 << MINOR_BITS) - 1)}"


def is_bdev_inode(dev: Any, ino: Any) -> Any:
    """Whether a file may be a block device itself: its inode number is the device's (bdev_alloc(), block/bdev.c).

    dev -- of its super block; numbers, or arrays of them, also within compiled loops.
    """
    major = ino >> MINOR_BITS
    return (dev >= BDEV_FIRST) & (dev < BDEV_END) & (major > 0) & (major <= MAX_MAJOR)
