"""Files of tracefs: read, written, and an instance of one's own made and removed.

What a recording makes there carries its key, PID_STARTTIME: by it the next run recognises what a killed one left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracereplay.errors import CaptureError

ROOT = Path("/")
PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
OURS = re.compile(r"tracereplay_(\d+_\d+)")
MOUNTS = Path("/proc/mounts")
SCRIPTS_MOUNT = re.compile(r"/.*/tracereplay\.(?:trace|debug)fs\.((\d+)_\d+)")
DEBUGFS = Path("/sys/kernel/debug")
CLONE_NEWNS = 0x20000
MNT_DETACH = 2  # what a killed script started may still end
MS_REC_PRIVATE = 0x4000 | 0x40000
BUSY_SECONDS = 10


def key_of(pid: int) -> str | None:
    """PID_STARTTIME of a process: no later process has the same. None where there is none of this PID."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return f"{pid}_{text.rpartition(')')[2].split()[19]}"


@dataclass(frozen=True, slots=True)
class Tracefs:
    """A mounted tracefs."""

    root: Path

    def read(self, name: str) -> str:
        """A file's text; "" where there is none, or none that can be read."""
        try:
            return (self.root / name).read_text(errors="replace")
        except OSError:
            return ""

    def write(self, name: str, text: str, *, append: bool = False) -> None:
        """Write a line. Raises OSError as the kernel answers."""
        handle = os.open(self.root / name, os.O_WRONLY | (os.O_APPEND if append else 0))
        try:
            os.write(handle, f"{text}\n".encode())
        finally:
            os.close(handle)

    def try_write(self, name: str, text: str, *, append: bool = False) -> bool:
        """Whether the kernel took it."""
        try:
            self.write(name, text, append=append)
        except OSError:
            return False
        return True

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.root / name).exists()

    def remove_instance(self, name: str) -> bool:
        """Stop an instance and remove it, waiting for its readers to go; whether it is gone."""
        place = f"instances/{name}"
        for switch in ("tracing_on", "events/enable"):
            self.try_write(f"{place}/{switch}", "0")
        deadline = time.monotonic() + BUSY_SECONDS
        while (self.root / place).is_dir():
            try:
                (self.root / place).rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    return False
                self._end_readers(place)
                time.sleep(0.05)
        return True

    def _end_readers(self, place: str) -> None:
        """Give a line to readers that wait for one: a killed script's `head -n 1` would wait for ever."""
        for name, text in (("tracing_on", "1"), ("trace_marker", "tracereplay: ended"), ("tracing_on", "0")):
            self.try_write(f"{place}/{name}", text)

    def remove_probes(self, group: str) -> None:
        """Remove every probe of a group; one in use by an instance stays."""
        for line in self.read("kprobe_events").splitlines():
            name = line.split()[0].partition(":")[2]
            if name.startswith(f"{group}/"):
                self.try_write("kprobe_events", f"-:{name}", append=True)

    def leftovers(self) -> list[str]:
        """Keys of recordings that are gone, and of which instances or probes are there."""
        names = " ".join(entry.name for entry in self._instances()) + self.read("kprobe_events")
        return sorted(key for key in set(OURS.findall(names)) if key_of(int(key.partition("_")[0])) != key)

    def clean_up(self, key: str) -> None:
        """Remove what a recording made."""
        for entry in self._instances():
            if OURS.match(entry.name) and OURS.findall(entry.name) == [key]:
                self.remove_instance(entry.name)
        self.remove_probes(f"tracereplay_{key}")

    def _instances(self) -> list[Path]:
        place = self.root / "instances"
        return sorted(place.iterdir()) if place.is_dir() else []


@contextlib.contextmanager
def mounted() -> Iterator[tuple[Tracefs, Path | None]]:
    """tracefs, and debugfs where the kernel has it (None else).

    What is not mounted is mounted in a mount namespace of this process, so that it vanishes with it, however it ends.
    Raises CaptureError without root or tracefs.
    """
    if os.geteuid() != 0:
        raise CaptureError("tracing needs root")
    if is_locked_down(Path("/")):
        raise CaptureError("lockdown=confidentiality closes tracefs", advice="boot with lockdown=integrity or none")
    _unmount_leftovers()
    place = next((one for one in PLACES if (one / "instances").is_dir()), None)
    if place is None or not _is_filled(DEBUGFS):
        _own_namespace()
    if not _is_filled(DEBUGFS):
        _mount("debugfs", DEBUGFS)
    if place is None:
        place = PLACES[0]
        if not _mount("tracefs", place):
            raise CaptureError("no tracefs", advice="CONFIG_FTRACE, and no lockdown=confidentiality, are needed")
    yield Tracefs(place), DEBUGFS if _is_filled(DEBUGFS) else None


def is_locked_down(root: Path) -> bool:
    """Whether the machine whose files lie below `root` has lockdown=confidentiality, so that tracefs is empty.

    Then it must not be mounted: 6.12 oopses in its last unmount (tracefs_destroy_inode).
    """
    for name, sign in (("sys/kernel/security/lockdown", "[confidentiality]"), ("proc/cmdline", "=confidentiality")):
        with contextlib.suppress(OSError):
            words = (root / name).read_text(errors="replace").split()
            if sign in words or f"lockdown{sign}" in words:
                return True
    return False


def hides_symbols(root: Path) -> bool:
    """Whether the machine whose files are below `root` shows no addresses in /proc/kallsyms, not to root either."""
    with contextlib.suppress(OSError):
        return (root / "proc/sys/kernel/kptr_restrict").read_text(errors="replace").strip() == "2"
    return False


def _unmount_leftovers() -> None:
    """What scripts mounted that are gone: they have no namespace of their own."""
    for line in MOUNTS.read_text(errors="replace").splitlines():
        place = line.split()[1] if line.count(" ") else ""
        found = SCRIPTS_MOUNT.fullmatch(place)
        if found and key_of(int(found[2])) != found[1] and not _libc().umount2(os.fsencode(place), MNT_DETACH):
            with contextlib.suppress(OSError):
                Path(place).rmdir()


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _own_namespace() -> None:
    """Mounts made from here on are seen by this process and its children only."""
    libc = _libc()
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None):
        raise CaptureError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")


def _mount(kind: str, place: Path) -> bool:
    return place.is_dir() and _libc().mount(b"nodev", bytes(place), kind.encode(), 0, None) == 0
