"""What may be called significant, over all rows of an answer together (Benjamini and Hochberg's correction)."""

from __future__ import annotations

from collections.abc import Sequence

SIGNIFICANT = 0.05  # of a corrected value: this share of what is called significant is chance


def corrected(p_values: Sequence[float]) -> list[float]:
    """The q-values of as many tests."""
    from scipy import stats  # noqa: PLC0415  (one second, which an answer without a test need not pay)

    return [float(q_value) for q_value in stats.false_discovery_control(p_values)] if p_values else []
