"""The document of `whatif` as Arrow tables: attempts under policies, fit, policies, placement, sizes, free lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tracereplay.model import result
from tracereplay.model import whatif as model
from tracereplay.model.tables import KeyedObject, Spec, Tables
from tracereplay.model.whatif import WhatIf


def _top(name: str) -> Callable[[WhatIf], Iterator[KeyedObject]]:
    return lambda document: (({}, item) for item in getattr(document, name))


def _fit(document: WhatIf) -> Iterator[KeyedObject]:
    return (
        ({"input_id": one.input_id, "engine": one.engine, "verdict": one.verdict}, fit)
        for one in document.model
        for fit in one.fit
    )


WHATIF_SPECS: dict[str, Spec[Any]] = {
    "whatif_results": Spec(model.Outcome, _top("results")),
    "whatif_fit": Spec(model.Fit, _fit, keys=("input_id", "engine", "verdict")),
    "whatif_policies": Spec(model.PolicyRun, _top("policies"), renamed={"id": "policy_id"}, without=("parameters",)),
    "whatif_summary": Spec(model.Summary, _top("summary")),
    "whatif_placement": Spec(model.Placement, _top("placement")),
    "whatif_sizing": Spec(model.Sizing, _top("sizing")),
    "whatif_counters": Spec(result.Counter, _top("counters")),
}


def whatif_tables(document: WhatIf) -> Tables:
    """All tables of a document, unabridged."""
    return Tables((name, spec.table(document)) for name, spec in WHATIF_SPECS.items())
