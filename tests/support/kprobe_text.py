"""Makes ftrace text of kprobe events, as kernels print it."""

from __future__ import annotations

from pathlib import Path

VMEMMAP = 0xFFFFEA0000000000
PAGE_BYTES = 64
HEADER = "# tracer: nop\n#\n"
ANON = 0xFF3F91A66FFCAF71
FUNCTIONS = {
    "getf": "try_grab_folio_fast", "get": "try_grab_folio", "get1": "try_grab_page", "upf": "unpin_user_folio",
    "gput": "gup_put_folio", "unpin": "unpin_user_page", "pcpbr": "page_cache_pipe_buf_release",
    "biorel": "__bio_release_pages", "mig": "move_to_new_folio", "ttm": "try_to_migrate", "dump": "dump_page",
    "off": "offline_pages", "imb": "folio_mapping",
}  # fmt: skip


def page(pfn: int) -> str:
    """The address of a page frame's struct page."""
    return f"{VMEMMAP + pfn * PAGE_BYTES:#x}"


class KprobeText:
    """Lines of a trace, a microsecond apart unless told otherwise."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._us = 1_000_000

    def add(self, task: str, event: str, arguments: str, *, after_us: int = 1) -> KprobeText:
        """One event of `comm-tid`."""
        self._us += after_us
        name = event.removesuffix("_r")
        where = (
            f"(caller+0x10/0x20 <- {FUNCTIONS.get(name)})"
            if event.endswith("_r")
            else f"({FUNCTIONS.get(name)}+0x0/0x90)"
        )
        payload = f"{where} {arguments}" if name in FUNCTIONS else arguments
        self._lines.append(f"{task:>23} [000] ..... {self._us / 1e6:12.6f}: {event}: {payload}")
        return self

    def taken(self, task: str, pfn: int, *, flags: int = 0x2, refs: int = 1, count: int = 1) -> KprobeText:
        """get_user_pages_fast() took references, on 6.12."""
        word = f"{VMEMMAP + 0x48:#x}"
        return self.add(
            task, "getf", f"page={page(pfn)} refs={refs} flags={flags:#x} rc={count} ch={word} vb={VMEMMAP:#x}"
        )

    def released(self, task: str, pfn: int, *, after_us: int = 1000) -> KprobeText:
        """A pipe's end: what vmsplice took is put, in a function that is probed."""
        return self.add(task, "pcpbr", f"page={page(pfn)} ch=0x0 rc=2", after_us=after_us)

    def stack(self, task: str, *functions: str) -> KprobeText:
        """The stack of the event before."""
        self.add(task, "<stack trace>", "")
        self._lines[-1] = self._lines[-1].removesuffix(": ")
        self._lines += [f" => {function}" for function in functions]
        return self

    def refused(self, task: str, pfn: int, count: int, *, mapping: int = ANON, flags: int = 0x2001D) -> KprobeText:
        """move_to_new_folio() failed with this count."""
        self.add(
            task, "mig", f"dst={page(9)} src={page(pfn)} mode=0 rc={count} mc=-1 mapping={mapping:#x} fl={flags:#x}"
        )
        return self.add(task, "mig_r", f"src={page(pfn)} ret=-11")

    def moved(self, task: str, pfn: int) -> KprobeText:
        """move_to_new_folio() succeeded."""
        self.add(task, "mig", f"dst={page(9)} src={page(pfn)} mode=0 rc=1 mc=-1 mapping={ANON:#x} fl=0x2001d")
        return self.add(task, "mig_r", f"src={page(pfn)} ret=0")

    def failed_pass(self, task: str, pages: int, large: int = 0) -> KprobeText:
        """migrate_pages() could not move some."""
        counts = f"nr_succeeded=0 nr_failed={pages} nr_thp_succeeded=0 nr_thp_failed={large} nr_thp_split=0 nr_split=0"
        return self.add(task, "mm_migrate_pages", f"{counts} mode=MIGRATE_SYNC reason=memory_hotplug")

    def offlined(self, task: str, result: int, start_pfn: int = 0x8000) -> KprobeText:
        """offline_pages() returned."""
        return self.add(task, "off_r", f"pfn={start_pfn:#x} nr=0x8000 ret={result}")

    @property
    def lines(self) -> list[str]:
        """The lines so far, with their ends."""
        return [f"{line}\n" for line in self._lines]

    def write(self, folder: Path) -> Path:
        """The trace as a file."""
        path = folder / "trace.txt"
        path.write_text(HEADER + "\n".join(self._lines) + "\n")
        return path
