"""A trace given twice is read once and said, whatever its name or format; a part of it given again is refused."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import capture
from tests.support.raw_capture import cut_raw_capture
from tracereplay.cli.main import main
from tracereplay.dataset import write_dataset
from tracereplay.opening import open_reader
from tracereplay.parsers.same_trace import same_events

NAME = "cma_bufferhead"
LAYOUT = ["--layout", str(capture(NAME) / "layout_before")]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    copy = tmp_path / "trace.dat"
    shutil.copy(capture(NAME) / "trace.dat", copy)
    return copy


def blame(capsys: pytest.CaptureFixture[str], *paths: Path) -> dict[str, Any]:
    assert main(["blame", *map(str, paths), *LAYOUT, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def said(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (row["input_id"], row["severity"], row["detail"])
        for row in result["data_loss"]
        if row["code"] == "trace_given_twice"
    ]


def test_the_same_trace_under_the_same_and_other_names(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.dat"
    shutil.copy(trace, other)
    link = tmp_path / "link.dat"
    link.symlink_to(trace)
    once = blame(capsys, trace)
    assert said(once) == []
    twice = blame(capsys, trace, trace, other, link)
    assert twice["attempts"] == once["attempts"]
    assert twice["blame"] == once["blame"]
    assert said(twice) == [(f"trace-{n}", "notice", "the same as trace-0") for n in (1, 2, 3)]
    given = [(one["id"], one["path"]) for one in twice["inputs"] if one["role"] == "trace"]
    assert given == [(f"trace-{n}", str(path)) for n, path in enumerate((trace, trace, other, link))]
    others = [row for row in twice["data_loss"] if row["code"] != "trace_given_twice"]
    assert [row["code"] for row in others] == [row["code"] for row in once["data_loss"]]


def test_the_same_trace_in_another_format(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "trace.dat.gz"
    packed.write_bytes(gzip.compress(trace.read_bytes(), 1))
    write_dataset(open_reader(trace), tmp_path / "dataset")
    raw = cut_raw_capture(trace, tmp_path / "raw")
    once = blame(capsys, trace)
    twice = blame(capsys, trace, packed, tmp_path / "dataset", raw)
    assert twice["attempts"] == once["attempts"]
    assert said(twice) == [(f"trace-{n}", "notice", "the same as trace-0") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("mixed_nopageref", "trace.txt.gz", "report.txt.gz"),
        ("mixed_nopageref", "trace.dat", "report.txt.gz"),
        ("cma_pin_vmsplice_perf", "perf.data", "perf_script.txt.gz"),
    ],
)
def test_text_of_a_trace_is_that_trace(name: str, one: str, other: str) -> None:
    """Text rounds times and does not tell the boot."""
    folder = capture(name)
    assert same_events(open_reader(folder / one), open_reader(folder / other))


def test_other_traces_are_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = gzip.decompress((capture("mixed_nopageref") / "trace.txt.gz").read_bytes()).decode()
    path, other = tmp_path / "trace.txt", tmp_path / "other.txt"
    path.write_text(text)
    reader = open_reader(path)
    for changed in (text.replace("pfn=0x1", "pfn=0x2", 1), text[: text.rindex("\n", 0, -1) + 1]):
        other.write_text(changed)
        assert not same_events(reader, open_reader(other))
    assert main(["info", str(path), str(other), "--format", "json"]) == 0
    assert said(json.loads(capsys.readouterr().out)) == []


def test_reports_say_it(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("blame", "info"):
        assert main([verb, str(trace), str(trace)]) == 0
        assert "the same as another input" in " ".join(capsys.readouterr().out.split())
    assert main(["blame", str(trace), str(trace), *LAYOUT, "--confidential", "--format", "json"]) == 0
    assert [detail for *_, detail in said(json.loads(capsys.readouterr().out))] == ["the same as trace-0"]


def test_a_part_given_again_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one recording (same trace id, as a dataset keeps it) but not equal: it would be analysed twice."""
    whole = tmp_path / "whole"
    write_dataset(open_reader(capture(NAME) / "trace.dat"), whole)
    part = shutil.copytree(whole, tmp_path / "part")
    description = json.loads((part / "dataset.json").read_bytes())
    del description["groups"]["mm_page_free"], description["by_event"]["mm_page_free"]
    (part / "dataset.json").write_text(json.dumps(description))
    assert main(["blame", str(whole), str(part)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "it would count twice; leave one of them out" in err


def test_what_cannot_be_read_is_said_as_ever(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing")
    assert main(["blame", missing, missing]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert main(["blame", str(tmp_path / "other"), str(fifo)]) == 2
