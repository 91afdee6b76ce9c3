"""What `import tracereplay` gives: five names that load nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tracereplay
from tests.support.captures import ROOT
from tracereplay import answers, errors, session

NAMES = {"InputError", "Result", "Session", "UsageError", "open"}


def test_the_names_are_those_of_the_modules() -> None:
    assert set(tracereplay.__all__) == NAMES | {"__version__"}
    assert tracereplay.Session is session.Session
    assert tracereplay.Result is answers.Result
    assert (tracereplay.InputError, tracereplay.UsageError) == (errors.InputError, errors.UsageError)
    assert set(dir(tracereplay)) >= NAMES


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'blame'"):
        tracereplay.blame  # noqa: B018


def test_the_import_loads_nothing_heavy() -> None:
    heavy = "{'numba', 'numpy', 'pyarrow', 'polars', 'pandas', 'matplotlib', 'msgspec'}"
    code = f"import sys, tracereplay; dir(tracereplay); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
