"""What every allocation of a trace requested, in the words policies choose by: task, GFP mask, file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tracereplay.dev_t import is_bdev_inode
from tracereplay.whatif.guided import first_users, stock_want
from tracereplay.whatif.guided_kernels import CMA_ALLOWED
from tracereplay.whatif.machine import Machine
from tracereplay.whatif.page_rows import MigrateType, Step
from tracereplay.whatif.script import Script

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
HIGHMEM, MOVABLE_BIT, ZERO = 1 << 1, 1 << 3, 1 << 8  # ___GFP_*, same bits from 5.4 on (include/linux/gfp_types.h)
HIGHUSER = 0x100CC2  # GFP_HIGHUSER: GFP_USER | __GFP_HIGHMEM
HIGHUSER_MASK = 0x100CCA  # ... and __GFP_MOVABLE, which a patched kernel may add
UNNAMED_DEVICES = 1 << 20  # device numbers below: file systems without a block device (major 0)
SERVED = frozenset({"fuse", "virtiofs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs"})  # by a process or a host


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """want -- `Course.want` of every event under the rules of the record. Masks select rows of the script."""

    script: Script
    machine: Machine
    comm_of: Callable[[int], str | None]
    file_systems: Mapping[int, str]
    want: Bytes
    waited_devices: frozenset[int] = frozenset()

    def allocs(self) -> Bools:
        """Allocations."""
        return np.asarray(self.script.events["kind"] == Step.ALLOC)

    def movable(self) -> Bools:
        """Allocations of movable pages."""
        return np.asarray(self.allocs() & (self.want & 7 == MigrateType.MOVABLE))

    def by_comm(self, name: str) -> Bools:
        """Allocations of tasks of this name (as the kernel keeps it: 15 bytes)."""
        tids = np.unique(self.script.events["tid"])
        mine = [tid for tid in tids if self.comm_of(int(tid)) == name[:15]]
        return self.allocs() & np.isin(self.script.events["tid"], mine)

    def added(self) -> Bools:
        """Allocations whose page was added to a page cache: files, block devices, secretmem."""
        return np.asarray(self.script.added_file >= 0)

    def page_cache(self) -> Bools:
        """Those of filemap_alloc_folio(): secretmem_fault() allocates its folios itself."""
        return self.added() & ~self.secretmem()

    def devices(self) -> npt.NDArray[np.int64]:
        """Device number of the file of each allocation, -1 = no file."""
        if not len(self.script.cache.dev):
            return np.full(len(self.want), -1, np.int64)
        return np.where(self.added(), self.script.cache.dev[np.maximum(self.script.added_file, 0)], -1)

    def block_devices(self) -> Bools:
        """Pages of block devices themselves: file system metadata, read through buffer heads."""
        if not len(self.script.cache.ino):
            return self.added()
        ino = self.script.cache.ino[np.maximum(self.script.added_file, 0)]
        return np.asarray(self.added() & is_bdev_inode(self.devices(), ino))

    def secretmem(self) -> Bools:
        """secretmem_fault() adds zeroed GFP_HIGHUSER folios of order 0 to its file's cache; no other cache does so.

        Seen in 6.12: mapping_gfp_mask is GFP_HIGHUSER since 5.14, GFP_HIGHUSER_MOVABLE before; zeroed by the allocator,
        where shmem clears its pages itself and read caches are not cleared.
        """
        gfp = self.script.events["gfp"]
        plain = (gfp & HIGHUSER == HIGHUSER) & (gfp & ZERO != 0) & (self.script.events["order"] == 0)
        return np.asarray(self.added() & plain & (self.devices() < UNNAMED_DEVICES))

    def of_file_system(self, name: str) -> Bools:
        """Page-cache pages of file systems of this type, where the snapshot's mounts name their devices.

        Where none does, and a server does its I/O: of those whose pages attempts waited for, and which no mount says to
        be another.
        """
        known = [dev for dev, fs in self.file_systems.items() if fs == name or fs.startswith(name + ".")]
        if not known and name in SERVED:
            known = list(self.waited_devices)
        return self.added() & np.isin(self.devices(), known)


@dataclass(frozen=True)
class WantedPages:
    """What the events ask for under a policy. want -- see `Course`; zone -- int8: row of the zone, -1 = as recorded."""

    want: Bytes
    zone: npt.NDArray[np.int8]
    changed: Bools  # allocations that ask for something else than in the record

    @cached_property
    def any(self) -> bool:
        """Whether anything changed."""
        return bool(self.changed.any())


def ask(requests: Requests, want: Bytes) -> WantedPages:
    """The whole of a changed `want`: refills ask as the first user of their page does, and zones follow.

    Movable requests with __GFP_HIGHMEM may use ZONE_MOVABLE (gfp_zone); others may not.
    """
    want = want.copy()
    changed = requests.allocs() & (want != requests.want)
    users = first_users(requests.script)
    refills = np.flatnonzero(users >= 0)
    refills = refills[changed[users[refills]]]
    want[refills] = want[users[refills]]
    zone = np.full(len(want), -1, np.int8)
    rows = np.flatnonzero(changed)
    if len(rows):
        zone[rows] = _zone_rows(requests, want, rows)
        zone[refills] = zone[users[refills]]
    return WantedPages(want, zone, changed)


def _zone_rows(requests: Requests, want: Bytes, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Zone each of these changed requests goes to first: Movable if it may, else the largest other zone of the node."""
    zones = requests.machine.zones
    movable = {zone.node: row for row, zone in enumerate(zones) if zone.name == "Movable"}
    other: dict[int, int] = {}
    for row, zone in enumerate(zones):
        if zone.name != "Movable" and (zone.node not in other or zones[other[zone.node]].pages < zone.pages):
            other[zone.node] = row
    node = next(iter(movable), 0)
    may = (want[rows] & 7 == MigrateType.MOVABLE) & (requests.script.events["gfp"][rows] & HIGHMEM != 0)
    return np.where(may, movable.get(node, -1), other.get(node, -1) if movable else -1).astype(np.int8)


def without_movable(requests: Requests, chosen: Bools) -> Bytes:
    """These allocations lose __GFP_MOVABLE."""
    return np.where(chosen & requests.movable(), MigrateType.UNMOVABLE, requests.want).astype(np.uint8)


def without_cma(requests: Requests, chosen: Bools) -> Bytes:
    """These allocations may not use CMA (they lose ALLOC_CMA)."""
    return np.where(chosen, requests.want & ~np.uint8(CMA_ALLOWED), requests.want).astype(np.uint8)


def requests_of(
    script: Script,
    machine: Machine,
    comm_of: Callable[[int], str | None],
    file_systems: Mapping[int, str],
    waited_devices: frozenset[int] = frozenset(),
) -> Requests:
    """The requests as recorded. waited_devices -- see `Requests.of_file_system`."""
    return Requests(
        script=script, machine=machine, comm_of=comm_of, file_systems=file_systems, want=stock_want(script),
        waited_devices=waited_devices,
    )  # fmt: skip
