"""`tracereplay record`: from the machine to a folder that `blame` reads."""

from __future__ import annotations

# Event names are literals here and texts where lists of them are joined.
# pyright: reportOperatorIssue=false
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tracereplay.capture import wanted
from tracereplay.capture.btf import page_layout
from tracereplay.capture.buffers import Pages, save_formats, save_stats
from tracereplay.capture.instance import Instance
from tracereplay.capture.pointers import page_pointers
from tracereplay.capture.selftest import self_test
from tracereplay.capture.snapshot import copy_debug_files, copy_names, copy_page_words, free_bytes, kernel_log, snapshot
from tracereplay.capture.target import Target, target_of
from tracereplay.capture.tracefs import ROOT, Tracefs, hides_symbols, mounted
from tracereplay.capture.watch import FailureWatch
from tracereplay.errors import CaptureError, UsageError
from tracereplay.parsers.probes.pointers import struct_pages
from tracereplay.parsers.snapshots.proc_files import NAMES_AT_END

POLL_SECONDS = 0.1
LEAST_FREE_BYTES = 64 << 20
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to record and until when; without seconds, command and until_failure: until Ctrl-C.

    dumps -- with until_failure: 1 ends at the first failure; more: goes on, keeping so many of the last ones.
    """

    out: Path
    level: int = 2
    area: str | None = None
    block: int | None = None
    buffer_kib: int | None = None
    pages: bool = True
    seconds: float | None = None
    command: Sequence[str] = ()
    until_failure: bool = False
    dumps: int = 1
    after_seconds: float = 2.0
    stacks: wanted.Stacks = wanted.Stacks.TAKES


@dataclass(slots=True)
class _Run:
    """A recording under way."""

    request: Request
    tracefs: Tracefs
    debug: Path | None
    target: Target | None
    say: Say
    stopped: bool = False
    notes: list[str] = field(default_factory=list)
    pointers: str = ""  # lines of page_pointers()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.say(text)

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True


def record(request: Request, say: Say) -> int:
    """Record; returns the command's exit status, 0 without one.

    Raises CaptureError where this machine cannot, UsageError where the folder exists.
    """
    if request.out.exists():
        raise UsageError(f"{request.out} exists: name a new folder")
    with mounted() as (tracefs, debug):
        target = target_of(request.area, request.block, debug)
        run = _Run(request, tracefs, debug, target, say)
        request.out.mkdir(parents=True)
        before = {number: signal.signal(number, run.stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            with Instance(tracefs) as instance:
                return _record(run, instance)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            (request.out / "record.log").write_text("".join(f"{line}\n" for line in run.notes))


def _record(run: _Run, instance: Instance) -> int:
    request = run.request
    clock = instance.set_clock()
    kib = request.buffer_kib or default_buffer_kib()
    instance.set_buffer(kib)
    if request.level >= 2:
        run.pointers = page_pointers(run.tracefs, f"{instance.name}_watch")
    _enable(run, instance)
    if request.stacks and not instance.record_stacks(run.target, request.stacks):
        run.note(wanted.NO_STACKS)
    elif instance.stacked and hides_symbols(ROOT):
        run.note(wanted.NO_NAMES)
    run.note(
        f"records {len(instance.events)} tracepoints and {len(instance.probes)} probes into {kib >> 10} MiB, "
        f"clock {clock}{cost_of(instance)}"
    )
    if run.target is not None and not request.until_failure:  # a ring's first event comes long after this
        copy_page_words(request.out, run.target, ".before")
    started, began = time.monotonic(), os.times()
    instance.set("tracing_on", "1")
    instance.mark_cpus()
    snapshot(request.out / "layout_before", run.debug)  # the ring is allocated: free memory is as it stays
    if request.until_failure:
        written = _until_failure(run, instance)
        status = 0
    else:
        status, written = _streamed(run, instance)
    if not written:
        run.note("no event was recorded")
    ended = os.times()
    seconds = time.monotonic() - started
    cpu = sum(getattr(ended, name) - getattr(began, name) for name in ("user", "system"))
    run.note(
        f"{seconds:.1f} s, {written >> 10:,} KiB of events; recording took {cpu:.2f} s of CPU ({cpu / seconds:.1%})"
    )
    return status


def _enable(run: _Run, instance: Instance) -> None:
    """Events and probes of the level; says what this kernel lacks and what that means."""
    request = run.request
    events = list(wanted.ATTEMPTS) + (list(wanted.PAGES) if request.pages else [])
    if request.level >= 1:
        events += wanted.CONSOLE
    if request.level >= 2 and run.target is not None:
        events += wanted.REFERENCES
    instance.enable(events, run.target)
    lacking = [event for event in instance.missing if event not in wanted.REFERENCES]
    if lacking:
        run.note(f"this kernel has no {', '.join(lacking)}")
    if request.level < 2 or any(event.startswith("page_ref/") for event in instance.events):
        return
    if not instance.tracefs.has("kprobe_events"):
        run.note("no kprobe events (CONFIG_KPROBE_EVENTS) and no page_ref: who holds a page will not be known")
        return
    page, source = page_layout()
    vmemmap = struct_pages(run.pointers)
    if vmemmap is not None and vmemmap.size_bytes != page.size:
        run.note(f"struct page has {vmemmap.size_bytes} bytes here, which no BTF describes: no probes are set")
        return
    run.note(f"struct page has {page.size} bytes, its count at {page.refcount:#x} ({source})")
    instance.enable_probes(page)
    if instance.refused:
        run.note(f"the kernel refused probes: {', '.join(instance.refused)}")
    result = self_test(instance, page, request.out, None if vmemmap is None else vmemmap.base)
    for text in result.notes:
        run.note(text)
    if run.target is not None:
        instance.filter_takes(run.target, result.base, page)


def _mark_end(instance: Instance) -> None:
    """Stop tracing, with a take of our own before (get_user_pages_remote): its event tells where vmemmap begins."""
    Path("/proc/self/environ").read_bytes()
    instance.mark_cpus()
    instance.set("tracing_on", "0")


def _streamed(run: _Run, instance: Instance) -> tuple[int, int]:
    """Write pages as they fill, until the requested end: nothing is overwritten. (status, bytes)"""
    request = run.request
    trace = request.out / "trace"
    child = None
    if request.command:
        try:
            child = subprocess.Popen(request.command)
        except OSError as error:
            raise CaptureError(f"{request.command[0]}: {error.strerror}") from error
    deadline = None if request.seconds is None else time.monotonic() + request.seconds
    if child is None and deadline is None:
        run.say("recording; Ctrl-C ends it")
    with Pages(instance, trace) as pages:
        while not run.stopped and (deadline is None or time.monotonic() < deadline):
            if child is not None and child.poll() is not None:
                break
            if not pages.take():
                time.sleep(POLL_SECONDS)
            elif free_bytes(request.out) < LEAST_FREE_BYTES:
                run.note("the disk is nearly full: the recording ends here")
                break
        _mark_end(instance)
        save_stats(instance, trace)
        pages.take(rest=True)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait()
        _save(run, instance, request.out)
        return (0 if child is None else max(child.returncode, 0)), pages.bytes_written


def _until_failure(run: _Run, instance: Instance) -> int:
    """Keep the last seconds in the ring; copy them at each failure. Returns the bytes copied."""
    request, written, number = run.request, 0, 0
    with FailureWatch(instance) as watch:
        run.say("recording until an attempt fails; Ctrl-C ends it")
        while True:
            line = None
            while not run.stopped and line is None:
                line = watch.wait(1.0)
            if line is not None:
                run.note(f"failed: {line}")
                _linger(run, instance)
            number += 1
            single = request.dumps == 1 or (number == 1 and line is None)
            folder = request.out if single else request.out / f"dump-{number}"
            written += _dump(run, instance, folder)
            shutil.rmtree(request.out / f"dump-{number - request.dumps}", ignore_errors=True)
            if single or run.stopped:
                return written
            while watch.wait(0) is not None:  # of the failure that was just saved
                pass
            instance.set("trace", "")
            instance.set("tracing_on", "1")
            instance.mark_cpus()


def _dump(run: _Run, instance: Instance, folder: Path) -> int:
    _mark_end(instance)
    save_stats(instance, folder / "trace")
    with Pages(instance, folder / "trace") as pages:
        pages.take(rest=True)
        _save(run, instance, folder)
        return pages.bytes_written


def _linger(run: _Run, instance: Instance) -> None:
    """Record on for after_seconds, but keep what came before the failure in half of the ring."""
    seconds, before = run.request.after_seconds, instance.cpu_stats()
    deadline = time.monotonic() + seconds
    while not run.stopped and time.monotonic() < deadline and not instance.is_half_new(before):
        time.sleep(min(POLL_SECONDS, seconds))


def _save(run: _Run, instance: Instance, folder: Path) -> None:
    """What goes with the pages."""
    save_formats(instance, folder / "trace")
    if run.pointers:
        (folder / "trace" / "page_pointers").write_text(run.pointers)
    snapshot(folder / "layout_after", run.debug, run.target)
    copy_names(run.request.out / "layout_before" / NAMES_AT_END)
    copy_debug_files(folder, run.debug)
    kernel_log(folder / "dmesg.txt")
    lost = instance.stats()
    if lost["overrun"] or lost["dropped events"]:
        run.note(f"{lost['overrun']:,} events overwritten, {lost['dropped events']:,} lost: a larger buffer keeps more")


def default_buffer_kib() -> int:
    """An eighth of the memory that is available, 16 to 256 MiB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return min(max(int(line.split()[1]) // 8, 16 << 10), 256 << 10)
    return 64 << 10


def cost_of(instance: Instance) -> str:
    """What recording will cost, in words."""
    words = []
    if any(event.startswith("kmem/") for event in instance.events):
        words.append(wanted.COSTS["PAGES"])
    if instance.probes:
        words.append(wanted.COSTS["STACKS" if instance.stacked else "TAKES"])
    if any(event.startswith("page_ref/") for event in instance.events):
        words.append(wanted.COSTS["REFERENCES"])
    return f"; costs {' and '.join(words)}" if words else ""
