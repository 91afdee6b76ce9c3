"""What this kernel and its settings can record, what that proves, and what is missing, with how to get it."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tracereplay.capture import wanted
from tracereplay.capture.btf import page_layout
from tracereplay.capture.instance import Instance
from tracereplay.capture.selftest import self_test
from tracereplay.capture.tracefs import Tracefs, mounted
from tracereplay.errors import CaptureError

LOCKDOWN = Path("/sys/kernel/security/lockdown")
DEBUG_OPTIONS = {
    "CONFIG_CMA": "CMA allocations", "CONFIG_CMA_DEBUGFS": "where CMA areas lie",
    "CONFIG_MEMORY_HOTREMOVE": "offlining of memory", "CONFIG_DEBUG_PAGE_REF": "every change of every reference count",
    "CONFIG_PAGE_OWNER": "who allocated pages older than the trace", "CONFIG_KPROBE_EVENTS": "who takes references",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: ok, or what is missing; what it means; what to do."""

    ok: bool
    what: str
    means: str = ""
    todo: str = ""

    def __str__(self) -> str:
        text = f"{'ok      ' if self.ok else 'MISSING '}{self.what}"
        text += f": {self.means}" if self.means else ""
        return text + (f"\n          -> {self.todo}" if self.todo else "")


def look() -> Iterator[Line]:
    """Everything that matters, in order."""
    yield Line(True, f"kernel {os.uname().release}, {os.uname().machine}")
    if os.geteuid() != 0:
        yield Line(False, "root", "nothing can be recorded", "run it as root: sudo tracereplay check")
        return
    if LOCKDOWN.exists() and "[confidentiality]" in LOCKDOWN.read_text():
        yield Line(False, "tracefs", "lockdown=confidentiality closes it", "boot with lockdown=integrity or none")
        return
    try:
        with mounted() as (tracefs, debug):
            yield from _tracing(tracefs)
            yield from _settings(debug)
    except CaptureError as error:
        yield Line(False, "tracefs", str(error))
    yield from _configuration()


def _tracing(tracefs: Tracefs) -> Iterator[Line]:
    """Tried in an instance that is gone afterwards."""
    yield Line(True, "tracefs", str(tracefs.root))
    with Instance(tracefs) as instance, tempfile.TemporaryDirectory() as folder:
        instance.enable((*wanted.ATTEMPTS, *wanted.PAGES, *wanted.CONSOLE, *wanted.REFERENCES), None)
        for events, means in (
            (wanted.ATTEMPTS, "failed attempts and the pages in the way"),
            (wanted.PAGES, "who allocated pages, and which may move"),
            (wanted.CONSOLE, "the kernel log inside the trace"),
        ):
            have = [event for event in events if event in instance.events]
            lacking = [event.partition("/")[2] for event in events if event not in instance.events]
            what = f"{len(have)} of {len(events)} tracepoints"
            yield Line(bool(have), what, means + (f" (not here: {', '.join(lacking)})" if lacking else ""))
        references = any(event in instance.events for event in wanted.REFERENCES)
        yield Line(
            references, "page_ref tracepoints", "every change of a reference count",
            "" if references else "CONFIG_DEBUG_PAGE_REF=y; kprobes do as well for get_user_pages()",
        )  # fmt: skip
        tracefs.try_write(f"{instance.place}/events/enable", "0")
        yield from _probes(instance, Path(folder))


def _probes(instance: Instance, folder: Path) -> Iterator[Line]:
    if not instance.tracefs.has("kprobe_events"):
        yield Line(
            False, "kprobe events", "who holds a page cannot be told without page_ref",
            "CONFIG_KPROBES=y, CONFIG_KPROBE_EVENTS=y",
        )  # fmt: skip
        return
    page, source = page_layout()
    instance.enable_probes(page)
    yield Line(bool(instance.probes), f"{len(instance.probes)} probes", ", ".join(instance.probes))
    if instance.refused:
        yield Line(False, "probes refused by the kernel", ", ".join(instance.refused))
    yield Line(True, f"struct page of {page.size} bytes", source)
    result = self_test(instance, page, folder)
    yield Line(result.base is not None, "vmemmap_base", "page pointers become page frames")
    for way, seen in result.seen.items():
        means = "could not be tried here" if seen is None else "take and release of a page of our own"
        yield Line(seen is True, f"probes on {way}", means)
    for note in result.notes:
        yield Line(False, "proof of holders", note)
    proves = bool({"mig", "ttm"} & set(instance.probes)) and bool(result.base)
    yield Line(proves, "proof of holders of a failing offline", "the count that migration is refused with, by probes")


def _settings(debug: Path | None) -> Iterator[Line]:
    cma = debug is not None and (debug / "cma").is_dir()
    yield Line(cma, "debugfs cma", "where CMA areas lie", "" if cma else "CONFIG_CMA_DEBUGFS=y, if the kernel has CMA")
    owner = debug is not None and (debug / "page_owner").exists()
    yield Line(
        owner, "page_owner", "who allocated pages older than the trace",
        "" if owner else "CONFIG_PAGE_OWNER=y, and boot with page_owner=on",
    )  # fmt: skip
    blocks = len(list(Path("/sys/devices/system/memory").glob("memory[0-9]*")))
    yield Line(bool(blocks), f"{blocks} memory blocks", "offlining", "" if blocks else "CONFIG_MEMORY_HOTPLUG=y")


def _configuration() -> Iterator[Line]:
    options = configuration()
    for option, means in DEBUG_OPTIONS.items() if options else ():
        yield Line(options.get(option) in ("y", "m"), option, means)


def configuration() -> Mapping[str, str]:
    """CONFIG_ options of the running kernel, empty where it does not tell."""
    places = (Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}"))
    for place in places:
        try:
            data = place.read_bytes()
        except OSError:
            continue
        text = (gzip.decompress(data) if place.suffix == ".gz" else data).decode("utf-8", "replace")
        return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))
    return {}
