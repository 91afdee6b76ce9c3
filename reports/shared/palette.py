"""The colours of causes, the same in every picture: in the order of `model.derived.ranking.cause_order`."""

from __future__ import annotations

# Distinct with any colour vision (after Okabe and Ito); the first ones are none of those that maps use for states.
HUES = ("#d55e00", "#6a3d9a", "#e69f00", "#cc79a7", "#009e73", "#0072b2", "#b8a900", "#56b4e9")
