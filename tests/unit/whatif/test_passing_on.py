"""The answer of `whatif` as tables, and without names."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.captures import capture, trace_of
from tracereplay.cli.main import main
from tracereplay.model.whatif_tables import WHATIF_SPECS

NAME = "cma_longterm_fail"


def command(*more: str) -> list[str]:
    folder = capture(NAME)
    policies = ["--policy", "nomovable:comm=acme-codec", "--policy", "indeterminate-mappings:fs=acmefs"]
    return ["whatif", str(trace_of(folder)), "--layout", str(folder / "layout_before"), "-q", *policies, *more]


def test_tables_have_what_the_document_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "tables"
    assert main(command("--out", str(place), "--format", "json", "--runs", "1", "--size", "cma")) == 0
    document = json.loads(capsys.readouterr().out)
    tables = {name: pq.read_table(place / f"{name}.parquet").to_pylist() for name in WHATIF_SPECS}
    assert tables["whatif_results"] == document["results"]
    assert tables["whatif_sizing"] == document["sizing"] != []
    assert [row["policy_id"] for row in tables["whatif_policies"]] == [one["id"] for one in document["policies"]]
    assert len(tables["whatif_fit"]) == sum(len(one["fit"]) for one in document["model"])


@pytest.mark.parametrize("form", ["text", "json", "md", "html"])
def test_no_name_is_left(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("--redact", "--format", form, "--runs", "1")) == 0
    said = capsys.readouterr().out
    for word in ("acme", NAME, str(capture(NAME))):
        assert word not in said
    assert "nomovable:comm=task-1" in said
