"""Tasks, processes and files as the document names them. Unknown is None."""

from __future__ import annotations

from msgspec import Struct


class Task(Struct, kw_only=True, frozen=True):
    """A task; pid (the process) is None where only the thread is known.

    part_of -- its process where it is another thread of one, and the virtual machine, container or systemd unit that
    it belongs to, where a snapshot lists commands and control groups.
    """

    tid: int | None
    pid: int | None = None
    comm: str | None = None
    part_of: str | None = None


class Allocation(Struct, kw_only=True, frozen=True):
    """Who allocated a page, and how."""

    tid: int | None
    pid: int | None = None
    comm: str | None = None
    gfp: str | None = None
    order: int | None = None
    time_ns: int | None = None
    part_of: str | None = None  # as of a task


class File(Struct, kw_only=True, frozen=True):
    """The file a page belongs to; fs is None without mountinfo or a_ops.

    device, mount, path -- node of its device, where its file system is mounted, its path: where a snapshot has them.
    block_dev -- number of the block device whose own inode it is; fs, device and mount are of that device then.
    """

    dev: int | None
    ino: int | None
    index: int | None = None
    fs: str | None = None
    device: str | None = None
    mount: str | None = None
    path: str | None = None
    block_dev: int | None = None


class Process(Struct, kw_only=True):
    """A process that the document names, as the snapshot of the machine lists it."""

    pid: int
    comm: str | None = None
    cmdline: str | None = None
    cgroup: str | None = None
    part_of: str | None = None  # its virtual machine, container or systemd unit
