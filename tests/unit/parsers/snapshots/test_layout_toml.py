"""Layouts written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracereplay.errors import InputError
from tracereplay.layout.layout import Span
from tracereplay.opening import layout_of
from tracereplay.parsers.snapshots import layout_toml
from tracereplay.parsers.snapshots.layout import read_layout

GOOD = """
page_size = 0x1000
memory_block_size = "128MiB"
pageblock_order = 9
[[zone]]
name = "Normal"
start = 0x100000000
size = "2GiB"
[[zone]]
node = 1
name = "Movable"
start_pfn = 0x180000
pages = 32768
[[cma]]
name = "linux,cma"
start_pfn = 0x1f0000
pages = 65536
"""


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "layout.toml"
    path.write_text(GOOD)
    snapshot = read_layout(path)
    assert (snapshot.source, snapshot.has_cma, snapshot.losses) == ("file", True, [])
    layout = layout_of(snapshot)
    assert layout.zones == (Span("Normal", 0x100000, 524288), Span("Movable", 0x180000, 32768, node=1))
    assert layout.cma_areas == (Span("linux,cma", 0x1F0000, 65536),)
    assert (layout.memory_block_pages, layout.pageblock_pages, layout.isolate_migratetype) == (32768, 512, 5)


def test_the_example_of_the_docstring_is_good(tmp_path: Path) -> None:
    lines = str(layout_toml.__doc__).splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    path = tmp_path / "layout.toml"
    path.write_text(example)
    snapshot = read_layout(path)
    assert snapshot.tables["zones"].num_rows == snapshot.tables["cma_areas"].num_rows == 1
    known = set(layout_toml.TOP_KEYS) | set(layout_toml.SPAN_KEYS) | {"node", "order_per_bit"}
    assert all(re.search(rf"\b{key}\b", example) for key in known)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("page_size = 0x1000", "page_sise = 4096", "unknown key 'page_sise' in the file"),
        ("page_size = 0x1000", "page_size = 5000", "page_size = 5000 is not a power of two"),
        ("page_size = 0x1000", "page_size = true", "page_size = True is not a size"),
        ('"128MiB"', '"128MB"', "memory_block_size = '128MB' is not a size"),
        ("pageblock_order = 9", "pageblock_order = -1", "not an integer from 0 to 30"),
        ("pageblock_order = 9", "pageblock_order = 9.5", "pageblock_order = 9.5"),
        ("pageblock_order = 9", "cma_configured = false", "yet a [[cma]] is listed"),
        ("pageblock_order = 9", "cma_configured = 1", "is not true or false"),
        ("[[zone]]\nnode", "[zone]\nnode", "not TOML"),
        ("[[cma]]", "[cma]", "write [[cma]]"),
        ('name = "Normal"\n', "", "[[zone]] 1 has no name"),
        ('name = "Normal"', "name = 7", "name = 7 in [[zone]] 1 is not a string"),
        ("start = 0x100000000", "", "[[zone]] 1 needs either start_pfn or start"),
        ("start = 0x100000000", "start = 1\nstart_pfn = 1", "[[zone]] 1 needs either start_pfn or start"),
        ("start = 0x100000000", "start = 0x100000001", "not a multiple of the page size"),
        ("node = 1", "nodes = 1", "unknown key 'nodes' in [[zone]] 2"),
        ("pages = 65536", "pages = 0", "has no pages"),
        ("pages = 65536", "pages = 99999999999999999999", "pages = 99999999999999999999"),
        ("pages = 65536", 'pages = 1\n[[cma]]\nname = "linux,cma"\nstart = 0\npages = 1', "two [[cma]]"),
        ("[[zone]]", "[[zone", "not TOML"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    path = tmp_path / "layout.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_layout(path)
    message = str(caught.value)
    assert says in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a = " + b"[" * 100_000, b"# " + b"x" * (2 << 20)])
def test_what_is_no_layout(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "layout.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not TOML|neither a|longer than"):
        read_layout(path)


@pytest.mark.parametrize("number", ["1" * 5000, "0x" + "f" * 8000, "[0x" + "f" * 8000 + "]", '"' + "x" * 9000 + '"'])
@pytest.mark.parametrize("key", ["page_size", "memory_block_size", "pageblock_order", "kernel", "cma_configured"])
def test_numbers_of_thousands_of_digits_are_refused_in_one_line(key: str, number: str, tmp_path: Path) -> None:
    """Python neither reads nor writes out integers of more than 4,300 digits."""
    path = tmp_path / "layout.toml"
    path.write_text(f'{key} = {number}\n[[zone]]\nname = "Normal"\nstart_pfn = 0\npages = 1\n')
    if key == "kernel" and number.startswith('"'):
        return  # a kernel's name may be long
    with pytest.raises(InputError) as caught:
        layout_toml.read_layout_toml(path)
    assert len(str(caught.value)) < 1500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["start_pfn", "pages", "start", "size", "node", "name", "order_per_bit"])
def test_so_are_those_of_a_zone_or_an_area(key: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.toml"
    values = {"name": '"a"', "start_pfn": "0", "pages": "1"}
    values |= {"start": "0"} if key == "start" else {"size": "4096"} if key == "size" else {}
    values[key] = "0x" + "f" * 8000
    for left, right in (("start", "start_pfn"), ("size", "pages")):
        if left in values:
            del values[right]
    table = "cma" if key == "order_per_bit" else "zone"
    path.write_text(f"[[{table}]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    with pytest.raises(InputError, match="thousands of digits"):
        layout_toml.read_layout_toml(path)
