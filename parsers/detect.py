"""What an input is: from its content, never from its name."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tracereplay.errors import InputError
from tracereplay.parsers.files.packed import DamagedError, packing_of, read_chunks, seekable_copy, unpacked_pieces
from tracereplay.parsers.trace_dat.raw_files import RAW_CPU_FILES, RAW_INSTANCE_FILES

SNIFF_BYTES = 1 << 16


class Kind(StrEnum):
    """Inputs tracereplay can tell apart."""

    TRACE_DAT = "trace.dat"
    PERF_DATA = "perf.data"
    PERFETTO = "Perfetto trace"
    RAW_BUFFERS = "raw ring buffers"
    TRACE_CMD_REPORT = "trace-cmd report"
    FTRACE_TEXT = "ftrace text"
    PERF_SCRIPT = "perf script"
    KERNEL_LOG = "kernel log"
    PAGE_OWNER = "page_owner"
    PAGE_PINNER = "page_pinner"
    BLAME_JSON = "blame result"
    LAYOUT_FILE = "layout file"
    LAYOUT_DIR = "layout directory"
    DATASET = "dataset"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Detected:
    """What the input is, the sign that decided (or why nothing fits), and how it is packed: gzip, zstd, xz or ""."""

    kind: Kind
    reason: str
    packing: str = ""


# A task column of ftrace: `comm-tid`, maybe `(tgid)`, `[cpu]`, maybe flags, seconds or bare ticks, then the event.
_FTRACE = re.compile(
    r"^\s*(?:<\.\.\.>|<idle>|\S.*?)-\d+\s+(?:\(\s*[-\d]+\)\s+)?\[\d+\]\s+(?P<flags>[.\w#]{4,5}\s+)?[\d.]+:\s+[\w:]+:",
    re.MULTILINE,
)
# comm and tid (or pid/tid) in columns, maybe [cpu] and letters of -F misc, seconds, maybe a period, `system:event:`.
_PERF_SCRIPT = re.compile(
    r"^\s*\S.*?\s+-?\d+(?:/-?\d+)?\s+(?:\[\d+\]\s+|\d{1,3}\s+)?(?:[A-Z]+\s+)?\d+\.\d{6,9}:\s+(?:\d+\s+)?[\w-]+:[\w-]+:",
    re.MULTILINE,
)
_KERNEL_LOG = re.compile(
    r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s|\bkernel: (?:\[\s*\d+\.\d+\])?", re.MULTILINE
)
_KMSG = re.compile(r"^\d+,\d+,\d+,[-\w,=]*;", re.MULTILINE)
_PAGE_OWNER = re.compile(r"^(?:[>|] ?)*Page allocated via order \d+.*\n(?:[>|] ?)*PFN ", re.MULTILINE)
_PAGE_PINNER = re.compile(
    r"^(?:At least, pinned for |Page pinned for |Page pinned ts |Freed at \[|Failure detected at \[).*\nPFN ",
    re.MULTILINE,
)

PERF_MAGICS = (b"PERFILE2", b"2ELIFREP", b"PERFFILE")
LAYOUT_MEMBERS = ("zoneinfo", "iomem", "pagetypeinfo", "buddyinfo", "cma", "memory", "proc", "sys")


def detect(path: str | Path) -> Detected:
    """Tell what `path` is. Raises InputError only where it cannot be read at all."""
    path = Path(path)
    try:
        file = seekable_copy(path)
        if file.is_dir():
            return _directory(file)
        with file.open("rb") as raw:
            head = raw.read(SNIFF_BYTES)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if not head:
        return Detected(Kind.UNKNOWN, "the file is empty")
    packing = packing_of(head)
    if packing:
        head = next(read_chunks(file, []), b"")[:SNIFF_BYTES]
        inner = _content(head) if head else Detected(Kind.UNKNOWN, f"its {packing} data is damaged")
        return Detected(inner.kind, inner.reason, packing)
    return _content(head)


def detect_head(head: bytes) -> Detected:
    """The same from a file's first bytes alone."""
    packing = packing_of(head)
    if packing:
        try:
            head = next(unpacked_pieces(io.BytesIO(head), packing), b"")[:SNIFF_BYTES]
        except (DamagedError, InputError):
            head = b""
    found = _content(head) if head else Detected(Kind.UNKNOWN, "the file is empty, or damaged")
    return Detected(found.kind, found.reason, packing)


def _directory(path: Path) -> Detected:
    names = {entry.name.removesuffix(".txt").removesuffix(".gz") for entry in path.iterdir()}
    if "_dataset.json" in names or "dataset.json" in names:
        return Detected(Kind.DATASET, "a directory written by `tracereplay ingest`")
    if "data" in names and _begins_with(path / "data", PERF_MAGICS):
        return Detected(Kind.PERF_DATA, "a directory written by perf record")
    if any(True for pattern in (*RAW_CPU_FILES, RAW_INSTANCE_FILES) for _ in path.glob(pattern)):
        return Detected(Kind.RAW_BUFFERS, "a directory with ring-buffer pages of CPUs")
    found = sorted(names.intersection(LAYOUT_MEMBERS))
    if found:
        return Detected(Kind.LAYOUT_DIR, f"a directory with {', '.join(found)}")
    return Detected(Kind.UNKNOWN, "a directory without zoneinfo, iomem or other layout files")


def _begins_with(path: Path, magics: tuple[bytes, ...]) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16).startswith(magics)
    except OSError:
        return False


def _content(head: bytes) -> Detected:
    if head.startswith(b"\x17\x08\x44tracing"):
        version = head[10:12].rstrip(b"\0").decode("ascii", "replace")
        return Detected(Kind.TRACE_DAT, f"trace.dat magic, version {version}")
    if head.startswith(PERF_MAGICS):
        return Detected(Kind.PERF_DATA, "perf.data magic")
    from tracereplay.parsers.perfetto.signs import looks_like_trace  # noqa: PLC0415

    if looks_like_trace(head):
        return Detected(Kind.PERFETTO, "packets of a Perfetto trace")
    if head.startswith(b"PK\x03\x04"):
        return Detected(Kind.UNKNOWN, "a zip archive in which neither a trace nor a kernel log was found")
    if b"\0" in head[:4096] and not head.startswith(b"# tracer:"):
        return Detected(Kind.UNKNOWN, f"binary data that begins with {head[:8].hex(' ')}")
    return _text(head.decode("utf-8", "replace"))


def _text(text: str) -> Detected:
    # Blank lines tell nothing, and patterns that begin `^\s*` would try each run of them from every line.
    text = re.sub(r"\n\s*\n", "\n", text.lstrip("\r\n"))
    stripped = text.lstrip()
    if stripped.startswith("{"):
        if '"tracereplay.' in text[:4096]:
            return Detected(Kind.BLAME_JSON, "a JSON document of tracereplay")
        return Detected(Kind.UNKNOWN, "a JSON document that is not tracereplay's")
    if stripped.startswith("# tracer:"):
        return Detected(Kind.FTRACE_TEXT, "the header of /sys/kernel/tracing/trace")
    if re.match(r"(?:\s*version = \d+\n)?(?:CPU \d+ is empty\n)*cpus=\d+\s", stripped):
        return Detected(Kind.TRACE_CMD_REPORT, "the header of trace-cmd report")
    if _PAGE_OWNER.search(text):
        return Detected(Kind.PAGE_OWNER, "page_owner records")
    if _PAGE_PINNER.search(text):
        return Detected(Kind.PAGE_PINNER, "page_pinner records")
    if _PERF_SCRIPT.search(text):
        return Detected(Kind.PERF_SCRIPT, "lines of perf script")
    event = _FTRACE.search(text)
    if event:
        if event["flags"]:
            return Detected(Kind.FTRACE_TEXT, "event lines with a flags column")
        return Detected(Kind.TRACE_CMD_REPORT, "event lines without a flags column")
    from tracereplay.parsers.kernel_log import is_log, says  # noqa: PLC0415 (slow to load)

    # `cma_alloc: alloc failed, req-size: 16 pages` begins as an event does.
    if _is_unusual_trace("\n".join(line for line in text.splitlines() if not says(line))):
        return Detected(Kind.FTRACE_TEXT, "events in one of the less usual shapes")
    if _KERNEL_LOG.search(text) or _KMSG.search(text):
        return Detected(Kind.KERNEL_LOG, "lines with kernel time stamps")
    if re.search(r"^\s*\[{1,2}(?:cma_areas?|zones?|memory_blocks?|layout|machine)\b", text, re.MULTILINE):
        return Detected(Kind.LAYOUT_FILE, "TOML tables of a layout")
    if is_log(text):  # its lines may have lost their prefixes: dmesg -t, logcat, a quotation in a mail
        return Detected(Kind.KERNEL_LOG, "lines of a kernel log without time stamps")
    return Detected(Kind.UNKNOWN, "text that is neither a trace nor a kernel log")


def _is_unusual_trace(text: str) -> bool:
    """Whether events show once the text is made usual, or their numbers alone were printed (which its reader says)."""
    from tracereplay.parsers.text import normalize as shapes  # noqa: PLC0415 (slow to load)

    head = text.encode("utf-8", "replace")
    usual = shapes.normalized_head(head)
    signs = (shapes.NO_FIELDS, shapes.GRAPH_SIGN, shapes.LOST)
    if any(sign.search(head) for sign in signs) or shapes.MISSING.search(usual):
        return True
    return usual != head and shapes.EVENT.search(usual) is not None


def open_trace_refusal(path: str | Path, found: Detected) -> InputError:
    """The one line for an input that no reader takes."""
    advice = "pass trace.dat, perf.data, the text of a trace or a kernel log"
    if found.kind is Kind.KERNEL_LOG:
        advice = "give one kernel log, beside traces or alone"
    return InputError(f"not a trace: {found.reason}", path=path, advice=advice)
