"""Parts of the recorder that need no tracing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tracereplay.capture.btf import page_layout, read_page_layout
from tracereplay.capture.definitions import definitions, probes_for
from tracereplay.capture.snapshot import _log_line
from tracereplay.capture.target import Target
from tracereplay.parsers.catalog.probes import GUP_FAST, KNOWN_PAGE, PROBES, PageLayout


def definition(name: str, functions: set[str], page: PageLayout = KNOWN_PAGE) -> list[str]:
    (probe,) = (one for one in probes_for(functions) if one.name == name)
    return list(definitions(probe, "g", page))


def test_functions_of_the_kernel_choose_the_row() -> None:
    assert definition("get", {"try_grab_folio", "try_grab_page"}) == [
        "p:g/get try_grab_folio page=$arg1:x64 refs=$arg2:s32 flags=$arg3:x32 rc=+0x34($arg1):s32 ch=+0x8($arg1):x64"
    ]
    assert definition("get", {"try_grab_folio", GUP_FAST})[0].startswith("p:g/get try_grab_folio folio=$arg1:x64")
    assert definition("acr", {"alloc_contig_range"})[0].startswith("r:g/acr alloc_contig_range s=")


def test_a_kernel_without_arguments_at_the_return_gets_the_value_alone() -> None:
    assert definition("mig_r", {"move_to_new_folio"})[1] == "r:g/mig_r move_to_new_folio ret=$retval:s32"


def test_a_kernel_without_vmemmap_base_is_not_asked_for_it() -> None:
    first, second = definition("off", {"offline_pages"})
    assert (first, second) == (f"{second} vb=@vmemmap_base:x64", "p:g/off offline_pages pfn=$arg1:x64 nr=$arg2:x64")


def test_offsets_are_those_of_the_kernel() -> None:
    page = PageLayout(size=72, refcount=0x44)
    assert "rc=+0x44($arg1):s32" in definition("get1", {"try_grab_page"}, page)[0]


def test_no_function_no_probe() -> None:
    assert probes_for(set()) == []
    assert len({probe.name for probe in probes_for({probe.function for probe in PROBES})}) == len(
        probes_for({probe.function for probe in PROBES})
    )


def test_filters_of_a_target() -> None:
    target = Target(0x100, 0x200)
    assert target.filter_by_pfn == "pfn >= 256 && pfn < 512"
    assert target.filter_by_pointer("page", 0x1000, 64) == "page >= 0x5000 && page < 0x9000"


def test_lines_of_the_kernel_log() -> None:
    line = _log_line(b"6,339,5140900,-;cma: alloc failed\n SUBSYSTEM=x\n")
    assert line == b"[    5.140900] cma: alloc failed\n"


def btf(fields: list[tuple[str, int]], size: int = 64, inner: list[tuple[str, int]] | None = None) -> bytes:
    """BTF of an int, and struct page with these members (offset in bytes), the last an unnamed union of `inner`."""
    texts = b"\0int\0page\0"

    def text(name: str) -> int:
        nonlocal texts
        texts += name.encode() + b"\0"
        return len(texts) - len(name) - 1

    types = struct.pack("<IIII", 1, 1 << 24, 4, 32)
    members = b"".join(struct.pack("<III", text(name), 1, at * 8) for name, at in fields)
    count = len(fields)
    union = b""
    if inner is not None:
        members += struct.pack("<III", 0, 3, 8 * 8)
        count += 1
        inside = b"".join(struct.pack("<III", text(name), 1, at * 8) for name, at in inner)
        union = struct.pack("<III", 0, 5 << 24 | len(inner), 40) + inside
    types += struct.pack("<III", 5, 4 << 24 | count, size) + members + union
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(texts)) + types + texts


def test_struct_page_is_read_from_btf() -> None:
    fields = [("flags", 0), ("_mapcount", 0x30), ("_refcount", 0x34)]
    data = btf(fields, inner=[("compound_head", 0), ("mapping", 0x10)])
    assert read_page_layout(data) == PageLayout(64, 0, 8, 0x18, 0x30, 0x34)
    assert read_page_layout(btf(fields)) is None


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb", b"\0" * 40, btf([("flags", 0)])[:50]])
def test_damaged_btf_is_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    layout, source = page_layout(path)
    assert (layout, source.startswith("no BTF")) == (KNOWN_PAGE, True)
