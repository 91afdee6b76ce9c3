"""docs/notebook.ipynb runs from the first cell to the last in a kernel of its own, and is kept without outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import captures

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra `dev`)")

NOTEBOOK = captures.ROOT / "docs" / "notebook.ipynb"
CELL_TIMEOUT_S = 120  # of the slowest: kernels are compiled the first time


def cells(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_outputs_are_not_kept() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert [c.id for c in cells(notebook, "code") if c.outputs or c.execution_count is not None] == []


def test_links_lead_somewhere() -> None:
    text = "\n".join(cell.source for cell in cells(nbformat.read(NOTEBOOK, as_version=4), "markdown"))
    assert "](reference.md)" in text
    assert (NOTEBOOK.parent / "reference.md").exists()


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra `dev`)")
    for module in ("ipykernel", "polars", "matplotlib"):
        pytest.importorskip(module, reason=f"{module} is not installed (extra `dev`)")
    captures.capture("cma_pin_vmsplice")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.create_kernel_manager()
    client.km.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute()
    said = [_said(cell) for cell in cells(notebook, "code")]
    assert "EBUSY" in said[1]
    assert "pin-vmsplice" in said[3]
    assert "cma_alloc" in said[6]
    assert "<svg" in said[-1]


def _said(cell: Any) -> str:
    """All that the cell put out, each in its richest form."""
    data = [output.get("data", {}) for output in cell.outputs]
    return "\n".join(str(one.get("image/svg+xml", one.get("text/plain", ""))) for one in data)
