"""docs/notebook.ipynb, run from the first cell to the last in a kernel of its own.

python -m tests.support.run_notebook    stores the outputs in the file
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from tests.support.captures import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
CELL_TIMEOUT_S = 120  # of the slowest: kernels are compiled the first time


def run_notebook(path: Path) -> Any:
    """The notebook with the outputs of this run, without times and versions of the machine."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    where = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(notebook, timeout=CELL_TIMEOUT_S, resources=where, record_timing=False)
    manager: Any = client.create_kernel_manager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    nbformat.write(run_notebook(NOTEBOOK), NOTEBOOK)  # type: ignore[no-untyped-call]
