"""The catalogue against the kernel: field names, and every spelling of every version read back without rest."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest

from tests.support.captures import SHARED
from tracereplay.gfp import GFP, GFP_BITS, GFP_COMPOSITES, gfp_names
from tracereplay.parsers.catalog import SPECS, SUBSYSTEMS
from tracereplay.parsers.catalog.enums import (
    COMPACT_RESULTS,
    PAGE_FLAGS,
    flag_names,
    name_of,
)
from tracereplay.parsers.catalog.spec import Read
from tracereplay.parsers.text.payloads import EventText
from tracereplay.parsers.text.spans import Spans
from tracereplay.schema import ARGS, EVENT_COLUMNS, Op

VERSIONS = SHARED / "kernel" / "events_by_version.json"
FORMATS = [*SHARED.glob("kernel/formats-6.18/*.*.format"), *SHARED.glob("captures/*/formats/*.*")]
TEXT_ONLY = {"zone", "status_name", "result_name", "reason_name", "pageblock_order"}
needs_kernel = pytest.mark.skipif(not VERSIONS.exists(), reason="no kernel reference beside the checkout")

# What `%s` stands for in print formats, by the key before it.
NAMES = {
    "gfp_flags": "GFP_HIGHUSER_MOVABLE|__GFP_ZERO",
    "gfp_mask": "GFP_KERNEL",
    "mode": "MIGRATE_SYNC",
    "reason": "contig_range",
    "status": "success",
    "ret": "success",
    "zone": "Normal",
    "classzone_idx": "Movable",
    "type": "MM_ANONPAGES",
    "name": "linux,cma",
    "priority": "COMPACT_PRIO_ASYNC",
    "compaction_result": "withdrawn",
    "dir": "FROM_DEVICE",
    "attrs": "SKIP_CPU_SYNC|NO_WARN",
}
BY_EVENT = {
    ("mm_lru_insertion", "flags"): "M",
    ("mm_vmscan_lru_isolate", "lru"): "active_file",
    ("mm_compaction_begin", "mode"): "sync",
    ("mm_compaction_end", "mode"): "async",
}


def spelled(event: str, fmt: str) -> str:
    """A payload as the kernel's printf makes it: 16 for numbers, names for %s."""

    def value(match: re.Match[str]) -> str:
        before = re.search(r"(\w+)[=:]?$", fmt[: match.start()])
        key = before[1] if before else ""
        conversion = match[0][-1]
        if conversion == "s":
            text = BY_EVENT.get((event, key), NAMES.get(key, "locked|0x4" if key == "flags" else "x"))
            if event.startswith("mm_vmscan_direct_reclaim") and not key:
                text = "(in-irq)"
            if event.startswith("mm_vmscan") and key == "flags":
                text = "RECLAIM_WB_ANON|RECLAIM_WB_ASYNC"
            if fmt[: match.start()].endswith("%s"):
                text = " "
            return f"{text:<8}" if "-8" in match[0] else text
        return "00000000c0ffee00" if conversion == "p" else "10" if conversion in "xX" else "16"

    return re.sub(r"%[-0-9]*(?:hh|h|ll|l|z)?[a-zA-Z]", value, fmt)


def shapes() -> list[Any]:
    if not VERSIONS.exists():
        return []
    return [
        pytest.param(key.split(":")[1], shape, id=f"{key}-{shape['seen'][0]}")
        for key, found in json.loads(VERSIONS.read_text()).items()
        if key.split(":")[1] in SPECS and SPECS[key.split(":")[1]].system == key.split(":")[0]
        for shape in found
    ]


@needs_kernel
@pytest.mark.parametrize(("event", "shape"), shapes())
def test_every_kernels_spelling_is_read(event: str, shape: dict[str, Any]) -> None:
    spec = SPECS[event]
    text = EventText(event, spec)
    payload = spelled(event, shape["fmt"])
    columns: dict[str, pa.Array] = {}
    for parsed in text.parse(Spans.of(pa.array([payload, payload]))):
        assert parsed.keys, f"no shape fits {payload!r}"
        found, unreadable, astray = text.columns(parsed, 4096)
        assert not (unreadable | astray).any(), payload
        columns |= found
    declared = {column.name for column in spec.fields}
    assert set(columns) - {"comm_field"} <= declared, payload
    assert all(array.null_count == 0 for name, array in columns.items() if name != "memcg_id"), payload
    fields = {name for name, _ in shape["fields"]} & declared
    # What the kernel does not print of a record.
    silent = {"idx", "zid", "highest_zoneidx", "classzone_idx", "zone_idx", "status", "result", "reason", "memcg_id"}
    assert fields - silent <= set(columns), payload


@needs_kernel
@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_fields_are_the_kernels(spec: Any) -> None:
    key = f"{spec.system}:{spec.name}"
    known = {name for shape in json.loads(VERSIONS.read_text()).get(key, []) for name, _ in shape["fields"]}
    for path in FORMATS:
        if path.name.removesuffix(".format") == f"{spec.system}.{spec.name}":
            known |= set(re.findall(r"field:.*?(\w+)(?:\[\w*\])?;", path.read_text()))
    if not known:
        pytest.skip("not among the kernels at hand")
    assert {column.name for column in spec.fields} - TEXT_ONLY <= known


def test_declarations_are_consistent() -> None:
    names = [spec.name for module in SUBSYSTEMS for spec in module.EVENTS]
    assert len(names) == len(set(names))
    reserved = {column.name for column in EVENT_COLUMNS}
    for spec in SPECS.values():
        fields = {column.name for column in spec.fields}
        assert len(fields) == len(spec.fields)
        assert not fields & reserved, spec.name
        assert all(column.doc for column in spec.fields)
        assert set(spec.args) <= set(ARGS)
        assert set(spec.args.values()) <= fields
        assert (spec.op is Op.NONE) == (not spec.args)
        # A spelling shared by a subsystem's events may name fields that one of them lacks.
        assert all(how.column or how.read is Read.DISPLAY for how in spec.spelling.values())


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (0, "none"),
        (0xCC0, "GFP_KERNEL"),
        (0x100CCA, "GFP_HIGHUSER_MOVABLE"),
        (0x140DCA, "GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP"),
        (0x104CC8, "GFP_USER|__GFP_MOVABLE|__GFP_RETRY_MAYFAIL"),
        (0x1C20CA, "GFP_TRANSHUGE_LIGHT"),
        (0x3D24CA, "GFP_TRANSHUGE|__GFP_NORETRY|__GFP_THISNODE"),
        (0x2800, "GFP_NOWAIT"),
        (1 << 26, "0x4000000"),
    ],
)
def test_gfp_masks_of_the_kernel(value: int, names: str) -> None:
    assert gfp_names(value) == names


def test_flags_and_names_round_trip() -> None:
    for mask in (*GFP_BITS.values(), *GFP_COMPOSITES.values()):
        assert sum({GFP[name] for name in gfp_names(mask).split("|")}) == mask
    assert flag_names(PAGE_FLAGS["locked"] | PAGE_FLAGS["head"] | 1 << 60, PAGE_FLAGS) == f"locked|head|{1 << 60:#x}"
    assert flag_names(0, PAGE_FLAGS) == "none"
    assert (name_of(8, COMPACT_RESULTS), name_of(99, COMPACT_RESULTS)) == ("success", "99")
