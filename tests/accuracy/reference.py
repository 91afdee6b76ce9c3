"""The tool that judges the project from outside, where it is on this machine."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType

from tests.support.captures import SHARED

REFERENCE = SHARED / "tools" / "score.py"


@cache
def reference_scorer() -> ModuleType | None:
    """The module, loaded from its path; None where it is absent."""
    spec = importlib.util.spec_from_file_location("reference_score", REFERENCE) if REFERENCE.exists() else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
