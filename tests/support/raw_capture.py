"""Raw captures for tests: the pages and formats of a real trace.dat, laid out as tracefs has them."""

from __future__ import annotations

import gzip
from pathlib import Path

from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.parsers.trace_dat.sections import CPUSTAT


def cut_raw_capture(trace: Path, root: Path, *, flat: bool = False, packed: bool = False) -> Path:
    """Write the capture into `root`; flat -- as cpuN.raw and formats/SYSTEM.EVENT, else as in tracefs."""
    reader = TraceDatReader(trace)
    container = reader._container

    def put(name: str, data: bytes) -> None:
        path = root / (f"{name}.gz" if packed else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, 1) if packed else data)

    for stream in reader._streams:
        assert stream.buffer == 0
        pages = b"".join(stream.bytes_of(block) for block in stream.blocks)
        put(f"cpu{stream.cpu}.raw" if flat else f"per_cpu/cpu{stream.cpu}/trace_pipe_raw", pages)
    texts = container.formats.by_system
    for system, text in texts:
        event = text.split("\n")[0].removeprefix("name: ")
        if event not in reader.info.by_event:
            continue  # a kernel has a thousand formats
        name = f"formats/{system}.{event}" if flat else f"events/{system}/{event}/format"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    put("header_page" if flat else "events/header_page", container.formats.header_page.encode())
    put("saved_cmdlines", container.cmdlines.encode())
    put("kallsyms", reader._read_kallsyms().encode())
    put("trace_clock", (reader.info.clock or "local").join(("[", "] other\n")).encode())
    put("uname", f"Linux host {reader.info.kernel} #1 SMP Fri Nov 20 2026 {reader.info.machine} GNU/Linux\n".encode())
    for _, data in (option for option in container.options if option[0] == CPUSTAT):
        first, _, statistics = data.rstrip(b"\0").partition(b"\n")
        put(f"per_cpu/cpu{int(first.split()[1])}/stats", statistics)
    return root
