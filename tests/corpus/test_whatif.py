"""`corpus whatif`: sums and intervals of made answers, and a small corpus of real captures from end to end."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.corpus.conftest import Put
from tracereplay.cli.main import main
from tracereplay.corpus.whatif import ranked, summed, wilson

FAILED, SAVED, LOST = ("failed", "still_fails", "estimate"), ("failed", "succeeds", "upper"), (
    "succeeded", "newly_fails", "estimate",
)  # fmt: skip
UNKNOWN = ("interrupted", "unknown", "estimate")


def test_sums() -> None:
    row = summed("retry", None, [[FAILED, SAVED], [UNKNOWN, LOST], [("succeeded", "succeeds", "estimate")]])
    assert (row.traces, row.failed, row.saved, row.saved_upper) == (2, 3, 1, 1)
    assert (row.still_fails, row.unknown, row.newly_fails) == (1, 1, 1)
    assert row.share == round(1 / 3, 4)
    assert row.low == round(wilson(1, 3, 2)[0], 4)
    assert row.high == round(wilson(2, 3, 2)[1], 4)


def test_without_failures_there_is_no_share() -> None:
    row = summed("retry", None, [[LOST]])
    assert (row.failed, row.share, row.low, row.high, row.newly_fails) == (0, None, None, None, 1)


@pytest.mark.parametrize(("hits", "whole", "number"), [(0, 10, 10), (5, 10, 10), (10, 10, 4), (1, 100, 3)])
def test_the_interval_solves_wilsons_equation(hits: int, whole: int, number: int) -> None:
    share = hits / whole
    for edge in wilson(hits, whole, number):
        if 0 < edge < 1:
            assert math.isclose(abs(share - edge), 1.959963984540054 * math.sqrt(edge * (1 - edge) / number))
    low, high = wilson(hits, whole, number)
    assert 0 <= low <= share <= high <= 1


def test_the_best_stands_first() -> None:
    rows = [summed("breaks", None, [[SAVED, SAVED, LOST, LOST]]), summed("saves", None, [[SAVED, FAILED]])]
    assert [row.policy for row in ranked(rows)] == ["saves", "breaks"]


def test_from_end_to_end(put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("cma_bufferhead", "a/one.dat", metadata='device = "phone"\n')
    put("cma_longterm_fail", "b/two.dat", metadata='device = "board"\n')
    gone = put("offline_dimm_einval", "b/three.dat")
    store = str(tmp_path / "store")
    assert main(["corpus", "run", str(tmp_path / "traces"), "-o", store, "-j", "1", "-q"]) == 0
    gone.unlink()
    capsys.readouterr()
    command = ["corpus", "whatif", store, "--policy", "buffer-heads", "--policy", "none", "--by", "device", "-j", "1"]
    assert main([*command, "--runs", "1", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    best, other = answer["policies"]
    assert (best["policy"], other["policy"], other["saved"]) == ("buffer-heads", "none", 0)
    assert best["saved"] >= 1
    assert best["low"] < best["share"] < best["high"]
    assert {row["value"] for row in answer["groups"]} == {"phone", "board"}
    assert answer["outcome"]["analysed"] == 2
    assert [row["status"] for row in answer["outcome"]["broken"]] == ["unreadable"]


def test_a_store_needs_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "whatif", str(tmp_path)]) == 2
    assert "name a policy" in capsys.readouterr().err
