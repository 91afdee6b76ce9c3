"""One recording's tracing instance: its events and probes, buffer and clock. Nothing outside of it is changed, but the
definitions of its probes, which carry its name and go with it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.definitions import caller_filters, definitions, probes_for
from tracereplay.capture.target import Target
from tracereplay.capture.tracefs import Tracefs, key_of
from tracereplay.errors import CaptureError
from tracereplay.parsers.catalog.probes import (
    FOLL_FROM_6_3,
    FOLL_UP_TO_6_2,
    PROBES,
    PageLayout,
    Probe,
)

FUNCTIONS = frozenset(probe.function for probe in PROBES)
STABLE_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter")  # the same on all CPUs: then `local` is in order across them
COUNTS = ("entries", "overrun", "dropped events", "bytes")  # of per_cpu/cpuN/stats
MARK = "tracereplay: this CPU is recorded, realtime_ns={}\n"  # parsers/events/wall_marks.py reads it
KALLSYMS = Path("/proc/kallsyms")
CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@dataclass(slots=True)
class Instance:
    """A tracing instance while it exists; use as a context manager, which removes it and its probes."""

    tracefs: Tracefs
    key: str = field(default_factory=lambda: key_of(os.getpid()) or "")
    events: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stacked: list[str] = field(default_factory=list)
    _caller_filters: dict[str, list[str]] = field(default_factory=dict)  # by calling function

    @property
    def name(self) -> str:
        """Name of the instance and of the group of its probes."""
        return f"tracereplay_{self.key}"

    @property
    def place(self) -> str:
        """Its folder, below tracefs."""
        return f"instances/{self.name}"

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.tracefs.root / self.place

    @property
    def cpus(self) -> list[int]:
        """CPUs that have a buffer."""
        return sorted(int(path.name[3:]) for path in (self.root / "per_cpu").glob("cpu[0-9]*"))

    def __enter__(self) -> Instance:
        for key in self.tracefs.leftovers():
            self.tracefs.clean_up(key)
        try:
            self.root.mkdir()
        except FileExistsError:
            raise CaptureError("this process records already") from None
        except OSError as error:
            raise CaptureError(f"no tracing instance: {error.strerror}", advice="is tracefs locked down?") from error
        self.set("tracing_on", "0")
        return self

    def __exit__(self, *_: object) -> None:
        self.tracefs.clean_up(self.key)

    def set(self, name: str, value: str) -> None:
        """Write one of its files. Raises CaptureError with the kernel's answer."""
        try:
            self.tracefs.write(f"{self.place}/{name}", value)
        except OSError as error:
            raise CaptureError(f"{name} = {value}: {error.strerror}") from error

    def read(self, name: str) -> str:
        """Text of one of its files."""
        return self.tracefs.read(f"{self.place}/{name}")

    def set_buffer(self, kib: int) -> None:
        """Size of the ring, all CPUs together: those that are online get one, not all that are possible.

        Up to 6.6 whether the global buffer has the size that it gets at first use is one mark for all: a size set here
        first would leave it at 7 KiB.
        """
        self.tracefs.try_write(f"{self.place}/events/enable", "0")
        self.set("buffer_size_kb", str(max(kib // os.sysconf("SC_NPROCESSORS_ONLN"), 8)))

    def set_clock(self) -> str:
        """The kernel log's clock: `local`, where it is the same on all CPUs, else `global`."""
        source = CLOCKSOURCE.read_text().strip() if CLOCKSOURCE.exists() else ""
        clock = "local" if source in STABLE_CLOCKS else "global"
        self.set("trace_clock", clock)
        return clock

    def enable(self, events: Iterable[str], target: Target | None) -> None:
        """Enable tracepoints SYSTEM/EVENT, filtered to the target where they name a page."""
        for event in events:
            if not self.tracefs.try_write(f"{self.place}/events/{event}/enable", "1"):
                self.missing.append(event)
                continue
            self.events.append(event)
            if target is not None and event.startswith(wanted.FILTERED_BY_PFN):
                self.tracefs.try_write(f"{self.place}/events/{event}/filter", target.filter_by_pfn)

    def enable_probes(self, page: PageLayout) -> None:
        """Define and enable what the kernel takes of the catalogue's probes."""
        for probe in probes_for(self._functions()):
            lines = definitions(probe, self.name, page, os.uname().machine)
            taken = any(self.tracefs.try_write("kprobe_events", line, append=True) for line in lines)
            if taken and self._keep_calls(probe) and self.tracefs.try_write(f"{self._event(probe.name)}/enable", "1"):
                self.probes.append(probe.name)
            else:
                self.refused.append(f"{probe.name}({probe.function})")
        self.filter_takes(None, None, page)

    def _event(self, name: str) -> str:
        """Folder of one of its probes, below tracefs."""
        return f"{self.place}/events/{self.name}/{name}"

    def _keep_calls(self, probe: Probe) -> bool:
        """Drop calls from other functions than the one that counts; False where the kernel cannot."""
        if not probe.caller:
            return True
        if probe.caller not in self._caller_filters:
            with KALLSYMS.open(encoding="ascii", errors="replace") as lines:
                self._caller_filters[probe.caller] = caller_filters(probe.caller, lines)
        filters = self._caller_filters[probe.caller]
        kept = next((one for one in filters if self.tracefs.try_write(f"{self._event(probe.name)}/filter", one)), None)
        self._caller_filters[probe.caller] = [] if kept is None else [kept]
        return kept is not None

    def filter_takes(self, target: Target | None, base: int | None, page: PageLayout) -> None:
        """Drop calls that take no reference; with vmemmap_base, those outside the target too."""
        taking = FOLL_FROM_6_3 if _is_from_6_3() else FOLL_UP_TO_6_2
        for probe in PROBES:
            if probe.name not in self.probes or not (probe.gup or probe.caller):
                continue
            kept = f"flags & {taking.taking:#x}" if probe.gup else self._caller_filters[probe.caller][0]
            place = f"{self._event(probe.name)}/filter"
            self.tracefs.try_write(place, kept)
            if target is None or base is None:
                continue
            fields = self.tracefs.read(f"{self._event(probe.name)}/format")
            for pointer in ("page", "folio"):
                if f" {pointer};" in fields:  # a filter that the kernel refuses disables the one before
                    where = target.filter_by_pointer(pointer, base, page.size)
                    self.tracefs.try_write(place, f"{kept} && {where}")

    def record_stacks(self, target: Target | None, which: wanted.Stacks) -> bool:
        """Stacks of what takes references; False where the kernel refuses. A trigger has a filter of its own."""
        places = {self._event(probe.name): "" for probe in PROBES if probe.gup and probe.name in self.probes}
        for place in places:
            places[place] = self.tracefs.read(f"{place}/filter").strip()
        if target is not None and which is wanted.Stacks.ALL:
            taking = {sign.event: sign.filter_ for sign in wanted.TAKING if sign.event in self.events}
            places |= {f"{self.place}/events/{e}": f"{c} && {target.filter_by_pfn}" for e, c in taking.items()}
        for place, condition in places.items():
            if self.tracefs.try_write(f"{place}/trigger", f"stacktrace if {condition}"):
                self.stacked.append(place.rpartition("/")[2])
        return len(self.stacked) == len(places)

    def mark_cpus(self) -> None:
        """Record an event on every CPU, which shows that the CPU was recorded until then, also if it idled."""
        allowed = os.sched_getaffinity(0)
        try:
            for cpu in allowed:
                with contextlib.suppress(OSError):  # the CPU has gone offline
                    os.sched_setaffinity(0, {cpu})
                    self.tracefs.try_write(f"{self.place}/trace_marker", MARK.format(time.time_ns()))
        finally:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, allowed)

    def _functions(self) -> frozenset[str]:
        """Of those that are probed, the ones that the kernel has."""
        return probed_functions(self.tracefs, KALLSYMS)

    def stats(self) -> dict[str, int]:
        """Entries, overrun, dropped events and the bytes of entries, of all CPUs."""
        return {name: sum(cpu[name] for cpu in self.cpu_stats()) for name in COUNTS}

    def cpu_stats(self) -> list[dict[str, int]]:
        """The same of each CPU, in the order of `cpus`."""
        found = []
        for cpu in self.cpus:
            lines = (line.partition(": ") for line in self.read(f"per_cpu/cpu{cpu}/stats").splitlines())
            values = {name: int(value) for name, _, value in lines if name in COUNTS and value.strip().isdigit()}
            found.append({name: values.get(name, 0) for name in COUNTS})
        return found

    def is_half_new(self, before: list[dict[str, int]]) -> bool:
        """Whether half of a CPU's ring was written since cpu_stats() was `before`: the other half is older.

        By bytes, as a ring that is not full yet has an unknown number of entries to go.
        """
        ring_bytes = int(self.read("buffer_size_kb").split()[0]) << 10  # of each CPU
        for now, was in zip(self.cpu_stats(), before, strict=False):  # CPUs come and go
            written = now["entries"] + now["overrun"] - was["entries"] - was["overrun"]
            if written * now["bytes"] * 2 > ring_bytes * now["entries"]:
                return True
        return False


def probed_functions(tracefs: Tracefs, kallsyms: Path) -> frozenset[str]:
    """Of those that are probed, the ones that ftrace can trace; without it, that are symbols; all, if neither tells."""
    names = {line.partition(" ")[0] for line in tracefs.read("available_filter_functions").splitlines()}
    if not names and kallsyms.exists():
        with kallsyms.open(encoding="ascii", errors="replace") as lines:
            names = {words[2] for line in lines if len(words := line.split()) > 2 and words[1] in "tT"}
    return frozenset(names) & FUNCTIONS if names else FUNCTIONS


def _is_from_6_3() -> bool:
    """Whether FOLL_* have their numbers of 6.3: nothing but the version tells (KERNEL: include/linux/mm_types.h)."""
    numbers = os.uname().release.split("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2] if number.isdigit()) >= (6, 3)
