"""Layout inputs are untrusted: whatever is in the files, the answer is tables with losses, or one InputError."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.captures import FIXTURES, capture
from tracereplay.errors import InputError
from tracereplay.layout.build import layout_from_tables
from tracereplay.parsers.snapshots.kpageflags import read_page_snapshot
from tracereplay.parsers.snapshots.layout import LayoutSnapshot, read_layout_snapshot, read_layout_toml
from tracereplay.schema import LAYOUT_TABLES, arrow_schema

SNAPSHOT = FIXTURES / "k72_cma_pin_vmsplice" / "layout_before"
FILES = sorted(str(path.relative_to(SNAPSHOT)) for path in SNAPSHOT.rglob("*") if path.is_file())
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_sound(snapshot: LayoutSnapshot) -> None:
    for name, columns in LAYOUT_TABLES.items():
        assert snapshot.tables[name].schema.equals(arrow_schema(columns))
    layout = layout_from_tables(
        snapshot.tables,
        page_size_bytes=snapshot.page_size_bytes,
        memory_block_bytes=snapshot.memory_block_bytes,
        pageblock_order=snapshot.pageblock_order,
    )
    for span in layout.zones + layout.cma_areas:
        assert 0 <= span.start_pfn <= span.end_pfn <= 1 << 60
    assert layout.pageblock_pages is None or 1 <= layout.pageblock_pages <= 1 << 30


@RELAXED
@given(name=st.sampled_from(FILES), data=st.data())
def test_damaged_files_never_break_the_reader(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("layout") / "copy"
    shutil.copytree(SNAPSHOT, root)
    content = bytearray((root / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 20))] = data.draw(
            st.one_of(
                st.binary(max_size=20), st.sampled_from([b"-1", b"9" * 30, b"\0", b" ", b"\n", b"0x", b"Node 0, zone"])
            )
        )
    (root / name).write_bytes(content)
    assert_sound(read_layout_snapshot(root))
    shutil.rmtree(root)


VALUES = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(['"128MiB"', '"9999999999999TiB"', '"x"', "[]", "{}", "0x1000", "4096", "512"]),
)


@RELAXED
@given(
    top=st.dictionaries(
        st.sampled_from(["page_size", "memory_block_size", "pageblock_order", "cma", "kernel"]), VALUES
    ),
    area=st.dictionaries(st.sampled_from(["start", "start_pfn", "pages", "size", "order_per_bit", "name"]), VALUES),
)
def test_any_toml_is_a_layout_or_one_line(
    top: dict[str, object], area: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def spelled(table: dict[str, object]) -> list[str]:
        return [f"{key} = {str(value).lower() if isinstance(value, bool) else value}" for key, value in table.items()]

    path = tmp_path_factory.mktemp("layout") / "layout.toml"
    path.write_text("\n".join([*spelled(top), "[[zone]]", 'name = "Z"', *spelled(area)]))
    try:
        snapshot = read_layout_toml(path)
    except InputError as error:
        message = str(error)
    else:
        assert_sound(snapshot)
        message = "fine"
    assert "\n" not in message


@RELAXED
@given(values=st.lists(st.integers(0, (1 << 64) - 1), max_size=50), start_pfn=st.integers(0, 1 << 40))
def test_page_flags_come_back_as_written(
    values: list[int], start_pfn: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("flags") / f"kpageflags.now.{start_pfn:#x}-{start_pfn + len(values):#x}.bin"
    path.write_bytes(np.array(values, "<u8").tobytes())
    if values:
        snapshot = read_page_snapshot(path)
        assert (snapshot.start_pfn, snapshot.flags.tolist()) == (start_pfn, values)
    else:
        with pytest.raises(InputError, match="not a range"):
            read_page_snapshot(path)


def test_the_snapshot_damaged_above_is_a_sound_one() -> None:
    assert read_layout_snapshot(capture("k72_cma_pin_vmsplice") / "layout_before").losses == []
