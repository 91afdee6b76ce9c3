"""Names for the numbers of events: devices, files and processes of a machine, as a snapshot of it lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracereplay.dev_t import is_bdev_inode
from tracereplay.model.result import Allocation, Attempt, File, Process, Task

ID_DIGITS = 12  # of a container, as its tools show it


@dataclass(frozen=True, slots=True)
class Device:
    """What a device number stands for: its node, and where its file system is mounted; None where not listed."""

    node: str | None = None
    fs: str | None = None
    mount: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names by number: devices by major << 20 | minor, paths by (device, inode), processes by pid, tasks by tid.

    block_devices -- numbers of those listed; tasks -- (pid, comm).
    """

    devices: Mapping[int, Device] = field(default_factory=dict)
    block_devices: frozenset[int] = frozenset()
    paths: Mapping[tuple[int, int], str] = field(default_factory=dict)
    processes: Mapping[int, Process] = field(default_factory=dict)
    tasks: Mapping[int, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        mounts: Iterable[Mapping[str, Any]] = (),
        block_devices: Iterable[Mapping[str, Any]] = (),
        open_files: Iterable[Mapping[str, Any]] = (),
        processes: Iterable[Mapping[str, Any]] = (),
        tasks: Iterable[Mapping[str, Any]] = (),
    ) -> Names:
        """From rows of `schema.LAYOUT_TABLES`; of several rows of one task or process the first counts."""
        blocks = list(block_devices)
        listed: dict[int, tuple[int, str]] = {}
        for row in tasks:
            if row["comm"] and row["pid"] is not None:
                listed.setdefault(row["tid"], (row["pid"], row["comm"]))
        found: dict[int, Process] = {}
        for row in processes:
            found.setdefault(row["pid"], _process(row, listed.get(row["pid"], (0, None))[1]))
        return cls(
            devices=_devices(mounts, blocks),
            block_devices=frozenset(row["dev"] for row in blocks),
            paths=_paths(open_files),
            processes=found,
            tasks=listed,
        )

    def process_of(self, tid: int, comm: str | None) -> Process | None:
        """The process of a task, if a task of that name had this tid: numbers are used again."""
        listed = self.tasks.get(tid)
        return self.processes.get(listed[0]) if listed is not None and comm == listed[1] else None

    def part_of(self, tid: int, comm: str | None) -> str | None:
        """What a task belongs to: its process where it is another thread of one, then virtual machine or unit."""
        process = self.process_of(tid, comm)
        if process is None:
            return None
        thread = f"thread of {process.comm} {process.pid}" if process.pid != tid and process.comm else None
        return ", ".join(filter(None, [thread, process.part_of])) or None

    def is_block_device(self, dev: int, ino: int) -> bool:
        """Whether this may be a block device's own inode.

        The pseudo file system that holds them is mounted nowhere; with a list of block devices it is one of these. File
        systems of users have greater numbers than it: inodes of NFS, btrfs or FUSE may look like a device, too.
        """
        listed = not self.block_devices or ino in self.block_devices
        return bool(is_bdev_inode(dev, ino)) and dev not in self.devices and listed

    def file(self, dev: int | None, ino: int | None, index: int | None, fs: str | None = None) -> File:
        """The file with the names it has; fs -- as another source tells it."""
        if dev is None or ino is None:
            return File(dev=dev, ino=ino, index=index, fs=fs)
        own = self.is_block_device(dev, ino)
        device = self.devices.get(ino if own else dev, Device())
        path = None if own else self.paths.get((dev, ino))
        return File(
            dev=dev,
            ino=ino,
            index=index,
            fs=fs or device.fs,
            device=device.node,
            mount=device.mount,
            path=path,
            block_dev=ino if own else None,
        )


def _devices(mounts: Iterable[Mapping[str, Any]], blocks: Iterable[Mapping[str, Any]]) -> dict[int, Device]:
    """Of several mounts of a file system the one that shows it from its root, at the shortest path."""
    found = {row["dev"]: Device(node=f"/dev/{row['name']}") for row in blocks}
    listed = [row for row in mounts if row["dev"] is not None]
    for row in sorted(listed, key=lambda row: (row.get("root") not in (None, "/"), len(row["path"]))):
        before = found.get(row["dev"], Device())
        if before.mount is None:
            node = row["source"] if (row["source"] or "").startswith("/dev/") else before.node
            found[row["dev"]] = Device(node, row["fs"], row["path"])
    return found


def _paths(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], str]:
    """The first path of each file that still has one: ` (deleted)` only where no other is listed."""
    found: dict[tuple[int, int], str] = {}
    for row in rows:
        key = row["dev"], row["ino"]
        if key not in found or (found[key].endswith(" (deleted)") and not row["path"].endswith(" (deleted)")):
            found[key] = row["path"]
    return found


# ------------------------------------------------------------------- virtual machines, containers, units

# Programs that run a virtual machine, and the option that names it.
_VMM = re.compile(r"qemu|kvm$|cloud-hyperviso|firecracker|crosvm")
_VM_NAME = re.compile(r"(?:^|\s)--?(?:name|id)[ =](?:guest=)?([^\s,]+)")
# What a control group is of; the first row that fits. Ids of containers are cut as their tools cut them.
_CGROUPS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("VM", re.compile(r"/machine-qemu\\x2d\d+\\x2d([^/\s]+)\.scope")),
    ("VM", re.compile(r"/machine/qemu-\d+-([^/\s]+)\.libvirt-qemu")),
    (
        "container",
        re.compile(r"/(?:docker|libpod|crio|cri-containerd)[-/:](?:conmon-)?([0-9a-f]{12,64})(?:\.scope)?(?![0-9a-f])"),
    ),
    ("container", re.compile(r"/kubepods[^\s]*/([0-9a-f]{64})(?![0-9a-f])")),
    ("container", re.compile(r"/lxc(?:\.payload)?[./]([^/\s]+)")),
    ("container", re.compile(r"/machine-([^/\s]+)\.scope")),
    ("Android", re.compile(r"/(uid_\d+)/pid_\d+")),
    ("", re.compile(r".*/([^/\s]+\.(?:service|scope|socket|mount|swap|timer))")),
)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def _process(row: Mapping[str, Any], comm: str | None) -> Process:
    cmdline, cgroup = row["cmdline"], row["cgroup"]
    part_of = _vm_of_command(comm or "", cmdline or "") or _part_of_cgroup(cgroup or "")
    return Process(pid=row["pid"], comm=comm, cmdline=cmdline, cgroup=cgroup, part_of=part_of)


def _vm_of_command(comm: str, cmdline: str) -> str | None:
    program = cmdline.split(" ", 1)[0].rpartition("/")[2]
    name = _VM_NAME.search(cmdline) if _VMM.search(comm) or _VMM.search(program) else None
    return f"VM {name[1]}" if name else None


def _part_of_cgroup(cgroup: str) -> str | None:
    for kind, pattern in _CGROUPS:
        if found := pattern.search(cgroup):
            name = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), found[1])
            is_id = kind == "container" and re.fullmatch(r"[0-9a-f]{12,64}", name)
            return f"{kind} {name[:ID_DIGITS] if is_id else name}".strip()
    return None


def processes_named(names: Names, attempts: Iterable[Attempt]) -> list[Process]:
    """The processes of the tasks that attempts and their culprits name, each once, by pid."""
    tasks = {(task.tid, task.comm) for attempt in attempts for task in _tasks_of(attempt) if task is not None}
    processes = (names.process_of(tid, comm) for tid, comm in tasks if tid is not None)
    found = {process.pid: process for process in processes if process is not None}
    return [process for _, process in sorted(found.items())]


def _tasks_of(attempt: Attempt) -> Iterator[Task | Allocation | None]:
    yield attempt.task
    for culprit in attempt.culprits:
        yield from (culprit.holder, culprit.taken_by, culprit.released_by, culprit.allocated_by)
