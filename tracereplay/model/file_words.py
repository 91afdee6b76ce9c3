"""A file by its names, where a snapshot has them: for holders, and for reports."""

from __future__ import annotations

from tracereplay.dev_t import device_number
from tracereplay.model.result import File


def named_file(file: File) -> str | None:
    """`/mnt/a (ext4 on /dev/vdb)`, `inode 2 of fuse mount /mnt`; None where only numbers are known.

    >>> named_file(File(dev=24, ino=2, fs="fuse", mount="/mnt"))
    'inode 2 of fuse mount /mnt'
    """
    if file.block_dev is not None:
        return f"block device {named_device(file.block_dev, file)}"
    if file.path is not None:
        kind = " on ".join(filter(None, [file.fs, file.device]))
        return f"{file.path} ({kind})" if kind else file.path
    inode = "a file" if file.ino is None else f"inode {file.ino}"
    if file.device is not None:
        return f"{inode} of {file.device}{_about(file.fs, file.mount)}"
    return None if file.mount is None else f"{inode} of {file.fs or 'the'} mount {file.mount}"


def named_device(dev: int, file: File) -> str:
    """`254:16 (/dev/vdb, ext4, /mnt)`; file -- the device's own inode, with what is known of the device."""
    return device_number(dev) + _about(file.device, file.fs, file.mount)


def _about(*names: str | None) -> str:
    known = ", ".join(filter(None, names))
    return f" ({known})" if known else ""
