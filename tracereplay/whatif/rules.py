"""Which rules the traced kernel followed, deduced from its own choices and never from its release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.model.whatif import Basis
from tracereplay.whatif.calibrate import NO_DECISION
from tracereplay.whatif.page_rows import MigrateType, Rule, Step
from tracereplay.whatif.script import Script

ENOUGH = 500  # choices of a movable list while CMA had more than all other free pages, and none of CMA


@dataclass(frozen=True, slots=True)
class BaseRules:
    """values -- what differs from the stock rules."""

    name: str
    basis: Basis
    cma_percent: int | None
    values: Mapping[Rule, int]


def base_rules(script: Script, balance: npt.NDArray[np.int64]) -> BaseRules:
    """The half rule, unless the kernel never took CMA although it was most of what was free.

    Other ratios look like pages hidden at the start: both shift the same threshold. The fit shows them.
    """
    decided = (script.events["kind"] == Step.TAKE) & (balance > NO_DECISION)
    took_cma = script.events["type"] == MigrateType.CMA
    if not np.any(decided & took_cma) and np.count_nonzero(decided & (balance < 0)) >= ENOUGH:
        return BaseRules("never", "events", None, {Rule.CMA_MODE: 1})
    return BaseRules("half", "events", 50, {})
