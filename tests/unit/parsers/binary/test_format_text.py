"""Format texts and header pages."""

from __future__ import annotations

import pytest

from tests.support.captures import SHARED
from tests.support.trace_dat_builder import DRAIN, NOTE, format_text
from tracereplay.errors import InputError
from tracereplay.parsers.binary.format_text import FieldKind, PageHeader, parse_format, parse_header_page
from tracereplay.parsers.binary.page_flag_bits import page_flag_bits


def test_an_event() -> None:
    event = parse_format(DRAIN, "kmem")
    assert (event.name, event.id, event.system, event.min_bytes) == ("mm_page_pcpu_drain", 501, "kmem", 24)
    assert [(f.name, f.offset, f.size, f.signed) for f in event.fields] == [
        ("pfn", 8, 8, False),
        ("order", 16, 4, False),
        ("migratetype", 20, 4, True),
    ]
    assert [f.name for f in event.common] == ["common_type", "common_flags", "common_preempt_count", "common_pid"]
    assert event.print_fmt == '"x"'


def test_shapes() -> None:
    text = format_text(
        "shapes",
        1,
        [
            ("char comm[16]", 8, 16, 0),
            ("unsigned char mac[6]", 24, 6, 0),
            ("__rel_loc u64[] addrs", 32, 4, 0),
            ("__data_loc cpumask_t *[] mask", 36, 4, 0),
            ("struct shrinker * shr", 40, 8, 0),
            ("char buf[]", 48, 0, 0),
        ],
    )
    found = [(f.name, f.kind, f.element_bytes, f.is_text) for f in parse_format(text).fields]
    assert found == [
        ("comm", FieldKind.CHARS, 1, True),
        ("mac", FieldKind.INTS, 1, False),
        ("addrs", FieldKind.REL_LOC, 8, False),
        ("mask", FieldKind.DATA_LOC, 8, False),
        ("shr", FieldKind.INT, 8, False),
        ("buf", FieldKind.CHARS, 1, True),
    ]
    assert parse_format(NOTE).fields[0].is_text


def test_stacks_may_be_shorter_than_announced() -> None:
    stack = format_text("kernel_stack", 4, [("int size", 8, 4, 1), ("unsigned long caller[8]", 16, 64, 0)])
    assert parse_format(stack).min_bytes == 16


@pytest.mark.parametrize(
    "text", ["", "name: x\n", "name: x\nID: 70000\n", format_text("x", 1, [("int a", 70000, 4, 1)])]
)
def test_damaged_formats(text: str) -> None:
    with pytest.raises(InputError):
        parse_format(text)


def test_header_page() -> None:
    text = (
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        "\tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;\n"
        "\tfield: char overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
        "\tfield: char data;\toffset:12;\tsize:4084;\tsigned:0;\n"
    )
    assert parse_header_page(text) == PageHeader(8, 4, 12, 4084)
    with pytest.raises(InputError):
        parse_header_page(text.replace("offset:12", "offset:4096"))


@pytest.mark.skipif(not (SHARED / "kernel").is_dir(), reason="../shared/kernel is not on this machine")
def test_all_formats_of_a_live_kernel() -> None:
    paths = sorted((SHARED / "kernel" / "formats-6.18").glob("*.*.format"))
    assert len(paths) > 100
    for path in paths:
        event = parse_format(path.read_text())
        assert path.name == f"{path.name.split('.')[0]}.{event.name}.format"
        assert len(event.fields) == path.read_text().count("field:") - 4
        assert event.print_fmt


def _flags(names: str, brace: str) -> str:
    return (
        '"flags=%s", __print_flags(REC->flags, "|", '
        + ", ".join(f'{brace}1UL << PG_{name}, "{name}" }}' for name in names.split())
        + ")"
    )


NEW = (
    "locked waiters referenced uptodate dirty lru active workingset owner_priv_1 owner_2 arch_1 reserved private "
    "private_2 writeback head reclaim swapbacked unevictable"
)
OLD = (
    "locked waiters error referenced uptodate dirty lru active workingset slab owner_priv_1 arch_1 reserved private "
    "private_2 writeback head mappedtodisk reclaim swapbacked unevictable"
)


@pytest.mark.parametrize(
    ("names", "brace", "expected"),
    [
        (NEW + " mlocked", "{ ", {"locked": 0, "writeback": 1, "owner_2": 11, "unevictable": 18, "mlocked": 19}),
        (NEW + " dropbehind mlocked", "{ ", {"dropbehind": 19, "mlocked": 20}),
        (OLD, "{ ", {"writeback": 1, "error": 10, "unevictable": 20}),
        (OLD, "{", {"referenced": 1, "error": 8, "writeback": 15, "unevictable": 20}),
        (OLD.replace(" workingset", ""), "{", {"error": 1, "slab": 8, "writeback": 14}),
    ],
)
def test_page_flag_bits_by_shape(names: str, brace: str, expected: dict[str, int]) -> None:
    bits = page_flag_bits(_flags(names, brace))
    assert bits is not None
    assert {name: bits[name] for name in expected} == expected


def test_page_flag_bits_in_the_text_win() -> None:
    assert page_flag_bits('__print_flags(x, "|", { 1UL << 3, "a" }, { 0x20, "b" })') == {"a": 3, "b": 5}
    assert page_flag_bits('{ 1UL << PG_new, "new" }') is None
    assert page_flag_bits('"pfn=%lx", REC->pfn') is None
