"""Raw pages of an instance's ring buffer, and what it takes to read them, into a folder as `raw_buffers` reads it."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.instance import Instance
from tracereplay.errors import CaptureError

SPLICE_BYTES = 1 << 16
READ_BYTES = 1 << 16  # a read gives at most one sub-buffer


@dataclass(slots=True)
class _Cpu:
    """One CPU's pages: from trace_pipe_raw through a pipe into a file, without a copy."""

    source: int
    target: int
    ends: tuple[int, int]
    spliced: bool = True
    written: int = 0

    def take(self) -> int:
        """Whole pages that are ready; returns their bytes."""
        taken = 0
        while self.spliced:
            try:
                got = os.splice(self.source, self.ends[1], SPLICE_BYTES, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                break
            except OSError:  # not everywhere: reads do as well
                self.spliced = False
                break
            if not got:
                break
            taken += got
            while got:
                got -= os.splice(self.ends[0], self.target, got)
        return taken if self.spliced else taken + self.take_rest()

    def take_rest(self) -> int:
        """Pages that are not full, too."""
        taken = 0
        while True:
            try:
                page = os.read(self.source, READ_BYTES)
            except BlockingIOError:
                return taken
            if not page:
                return taken
            os.write(self.target, page)
            taken += len(page)

    def close(self) -> None:
        for handle in (self.source, self.target, *self.ends):
            os.close(handle)


@dataclass(slots=True)
class Pages:
    """The pages of all CPUs on their way into `folder`/per_cpu. Errors: CaptureError where the disk is full."""

    instance: Instance
    folder: Path
    bytes_written: int = 0
    _cpus: list[_Cpu] = field(default_factory=list)

    def __enter__(self) -> Pages:
        for cpu in self.instance.cpus:
            place = self.folder / "per_cpu" / f"cpu{cpu}"
            place.mkdir(parents=True, exist_ok=True)
            source = os.open(
                self.instance.root / "per_cpu" / place.name / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK
            )
            target = os.open(place / "trace_pipe_raw", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._cpus.append(_Cpu(source, target, os.pipe()))
        return self

    def __exit__(self, *_: object) -> None:
        for cpu in self._cpus:
            cpu.close()

    def take(self, *, rest: bool = False) -> int:
        """Write what is ready; `rest`: all there is (tracing is off). Returns its bytes."""
        try:
            taken = sum(cpu.take() for cpu in self._cpus)
            if rest:
                taken += sum(cpu.take_rest() for cpu in self._cpus)
        except OSError as error:
            raise CaptureError(f"{self.folder} cannot be written: {error.strerror}") from error
        self.bytes_written += taken
        return taken


def save_stats(instance: Instance, folder: Path) -> None:
    """per_cpu/cpuN/stats: what was overwritten and lost."""
    for cpu in instance.cpus:
        place = folder / "per_cpu" / f"cpu{cpu}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "stats").write_text(instance.read(f"per_cpu/cpu{cpu}/stats"))


def save_formats(instance: Instance, folder: Path) -> None:
    """Formats of what is recorded, names of tasks, symbols: without them pages are bytes."""
    tracefs = instance.tracefs
    events = [*wanted.BUILT_IN, *instance.events, *(f"{instance.name}/{probe}" for probe in instance.probes)]
    for event in events:
        place = folder / "events" / event
        place.mkdir(parents=True, exist_ok=True)
        (place / "format").write_text(tracefs.read(f"events/{event}/format"))
    (folder / "events").mkdir(parents=True, exist_ok=True)
    for name in ("header_page", "header_event"):
        (folder / "events" / name).write_text(instance.read(f"events/{name}"))
    for name in wanted.TRACE_FILES:
        if text := tracefs.read(name):
            (folder / name).write_text(text)
    (folder / "trace_clock").write_text(instance.read("trace_clock"))
    own = [line for line in tracefs.read("kprobe_events").splitlines() if f":{instance.name}/" in line]
    if own:
        (folder / "kprobe_events").write_text("".join(f"{line}\n" for line in own))
    with contextlib.suppress(OSError):
        shutil.copyfile("/proc/kallsyms", folder / "kallsyms")
    uname = os.uname()
    (folder / "uname").write_text(f"Linux {uname.nodename} {uname.release} {uname.version} {uname.machine} GNU/Linux\n")
    with contextlib.suppress(OSError):
        shutil.copyfile("/proc/sys/kernel/random/boot_id", folder / "boot_id")
