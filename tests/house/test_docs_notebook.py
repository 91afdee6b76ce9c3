"""docs/notebook.ipynb runs from the first cell to the last in a kernel of its own, and keeps its outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import captures

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra `dev`)")

NOTEBOOK = captures.ROOT / "docs" / "notebook.ipynb"


def cells(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_outputs_are_kept_and_small() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = cells(notebook, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [cell.id for cell in code if not cell.outputs] == []
    assert NOTEBOOK.stat().st_size < 300_000


def test_nothing_deeper_than_the_package_is_imported() -> None:
    """As in the README: what people copy from has no module of ours but the first."""
    code = "\n".join(cell.source for cell in cells(nbformat.read(NOTEBOOK, as_version=4), "code"))
    readme = (captures.ROOT / "README.md").read_text(encoding="utf-8")
    for text in (code, readme):
        assert re.search(r"^ *import tracereplay$", text, re.MULTILINE)
        assert not re.search(r"(?:from|import) tracereplay\.", text)


def test_links_lead_somewhere() -> None:
    text = "\n".join(cell.source for cell in cells(nbformat.read(NOTEBOOK, as_version=4), "markdown"))
    assert "](reference.md)" in text
    assert (NOTEBOOK.parent / "reference.md").exists()


def test_every_cell_runs_and_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nbclient", "ipykernel", "polars", "pandas", "duckdb", "deltalake", "matplotlib"):
        pytest.importorskip(module, reason=f"{module} is not installed (extra `dev`)")
    from tests.support.run_notebook import run_notebook  # noqa: PLC0415

    captures.capture("cma_pin_vmsplice")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    kept, run = nbformat.read(NOTEBOOK, as_version=4), run_notebook(NOTEBOOK)
    for before, now in zip(cells(kept, "code"), cells(run, "code"), strict=True):
        assert _said(before) == _said(now), "run: python -m tests.support.run_notebook"
    assert "<svg" in str(run)


def _said(cell: Any) -> list[str]:
    """What the cell put out, as text: how polars and matplotlib draw it is theirs."""
    assert [output.output_type for output in cell.outputs] == ["execute_result"]
    return [output.data["text/plain"] for output in cell.outputs]
