"""A coverage-guided fuzzer (atheris, libFuzzer) over every decoder: it reads or refuses, and never does anything else.

    pip install -e '.[fuzz]'
    python -m benchmarks.fuzz DECODER [FOLDER] [libFuzzer flags: -max_total_time=300 -runs=1000 ...]
    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=/tmp/checked python -m benchmarks.fuzz DECODER ...    # compiled loops too

Seeds come from the real captures (`fuzz_seeds`). FOLDER keeps what was found to reach new code, from run to run; what
goes wrong is left in the current directory as crash-*, timeout-* or oom-*, and `python -m benchmarks.fuzz DECODER FILE`
runs it again. Decoders of folders get one of their files mutated: its number is the first byte.
"""

from __future__ import annotations

import pkgutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import atheris  # pyright: ignore[reportMissingModuleSource] (an extra; pyright has stubs of it)

import tracereplay

# Compiled loops cannot be instrumented: numba would have to compile the counters.
LOOPS = [m.name for m in pkgutil.walk_packages(tracereplay.__path__, "tracereplay.") if m.name.endswith("_kernels")]
LOOPS += ["tracereplay.compiled", "tracereplay.dev_t"]
with atheris.instrument_imports(  # pyright: ignore[reportAttributeAccessIssue] (not in these stubs)
    include=["tracereplay"], exclude=LOOPS
):
    from tracereplay.errors import InputError
    from tracereplay.opening import open_reader
    from tracereplay.parsers.kernel_log import read_kernel_log
    from tracereplay.parsers.snapshots.kpageflags import read_page_snapshot
    from tracereplay.parsers.snapshots.layout import read_layout
    from tracereplay.parsers.snapshots.page_owner import page_owner_dump, read_stack_handles
    from tracereplay.parsers.snapshots.page_pinner import read_page_pinner
    from tracereplay.session import Session

from benchmarks import fuzz_seeds  # noqa: E402 (it imports readers, which are to be instrumented first)

Read = Callable[[Path], object]


def trace(path: Path) -> None:
    """Everything of a trace, and every event is accounted for."""
    reader = open_reader(path)
    rows = sum(map(len, reader.tables().values()))
    unread = any(loss.code == "unparsed_line" for loss in reader.losses)  # text: values that were not understood
    assert rows == reader.info.events or (unread and rows < reader.info.events)
    explain(path)


def explain(path: Path) -> None:
    """The stream of a trace, its tables, and what is made of it."""
    reader = open_reader(path)
    reader.tables()
    for chunk in reader.stream():
        assert len(chunk)
    Session(reader=reader).blame()


def log(path: Path) -> None:
    """A kernel log, and the attempts in it."""
    Session(kernel_log=path).blame()
    read_kernel_log(path)


def archive(path: Path) -> None:
    """A zip archive: the trace or the log that is found in it."""
    with tracereplay.open(path) as session:
        session.blame()


def page_owner(path: Path) -> None:
    """Records, and stacks by handle."""
    with suppress(InputError):
        list(page_owner_dump(path))
    with suppress(InputError):
        read_stack_handles(path)


def page_flags(path: Path) -> None:
    """As a range, and as a whole file."""
    for pfn_range in ((0x100, 0x200), None):
        try:
            read_page_snapshot(path, path, pfn_range)
        except InputError:
            continue


FILES: dict[str, tuple[Callable[[], Iterator[bytes]], Read, str]] = {
    "trace_dat": (fuzz_seeds.trace_dats, trace, "trace.dat"),
    "perf_data": (fuzz_seeds.perf_datas, trace, "perf.data"),
    "archive": (fuzz_seeds.archives, archive, "trace.zip"),
    "perfetto": (fuzz_seeds.perfetto_traces, trace, "trace.pftrace"),
    "trace_text": (fuzz_seeds.trace_texts, trace, "trace.txt"),
    "perf_script": (fuzz_seeds.perf_scripts, trace, "perf.txt"),
    "kernel_log": (fuzz_seeds.kernel_logs, log, "dmesg.txt"),
    "page_owner": (fuzz_seeds.page_owners, page_owner, "page_owner"),
    "page_pinner": (fuzz_seeds.page_pinners, read_page_pinner, "page_pinner"),
    "page_flags": (fuzz_seeds.kpageflags, page_flags, "kpageflags.bin"),
    "layout_file": (fuzz_seeds.layout_files, read_layout, "layout.toml"),
}
FOLDERS: dict[str, tuple[Callable[[], Iterator[tuple[str, bytes]]], Read]] = {
    "raw_buffers": (fuzz_seeds.raw_buffers, trace),
    "layout_snapshot": (fuzz_seeds.layout_snapshots, read_layout),
    "dataset": (fuzz_seeds.datasets, explain),
}


def target(decoder: str, scratch: Path) -> tuple[list[bytes], Callable[[bytes], None]]:
    """Seeds, and what is done with each input."""
    if decoder in FILES:
        make_seeds, read, name = FILES[decoder]
        return list(make_seeds()), lambda data: _try(read, scratch / name, scratch / name, data)
    make_members, read = FOLDERS[decoder]
    members = list(make_members())
    for name, content in members:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(content)

    def one_file(data: bytes) -> None:
        name, content = members[(data[0] if data else 0) % len(members)]
        _try(read, scratch, scratch / name, data[1:])
        (scratch / name).write_bytes(content)

    return [bytes([number]) + content for number, (_, content) in enumerate(members)], one_file


def _try(read: Read, path: Path, file: Path, data: bytes) -> None:
    # A new file each time: readers map theirs, and may keep it for a while.
    file.unlink(missing_ok=True)
    file.write_bytes(data)
    try:
        read(path)
    except InputError as refused:
        if not str(refused) or "\n" in str(refused):
            raise AssertionError("a refusal is one line") from refused


def main() -> None:
    """Fuzz one decoder until libFuzzer is stopped."""
    decoders = [*FILES, *FOLDERS]
    if len(sys.argv) < 2 or sys.argv[1] not in decoders:
        sys.exit(f"usage: python -m benchmarks.fuzz {'|'.join(decoders)} [FOLDER] [libFuzzer flags]")
    decoder = sys.argv.pop(1)
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    seeds, run = target(decoder, scratch / "input")
    (scratch / "input").mkdir(exist_ok=True)
    (scratch / "seeds").mkdir()
    for number, seed in enumerate(seeds):
        (scratch / "seeds" / f"{number}").write_bytes(seed)
    for seed in seeds:  # loops are compiled before libFuzzer watches the time of each input
        run(seed)
    again = any(Path(name).is_file() for name in sys.argv[1:])  # an input to run once more, nothing to look for
    corpus = [] if again else [scratch / "seeds"]
    options: dict[str, Callable[[bytes, int, int], bytes]] = {}
    if decoder in FOLDERS:
        # Untouched files are all read alike, so libFuzzer would keep one of them: begin anew with any at times.
        def mutate(data: bytes, max_bytes: int, number: int) -> bytes:
            chosen: bytes = atheris.Mutate(seeds[number % len(seeds)] if number % 3 == 0 else data, max_bytes)
            return chosen

        options = {"custom_mutator": mutate}
    limits = ("-timeout=20", "-rss_limit_mb=3000", f"-max_len={2 * max(map(len, seeds))}")
    atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], *map(str, corpus)], run, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
