"""Sections as one HTML file that needs nothing else and runs nothing: no script at all is admitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from tracereplay.reports.html.report import TEMPLATES, environment, policy_hash
from tracereplay.reports.shared.sections import FIND_THE_REST, Section, Share, Spark, Traces
from tracereplay.reports.shared.wording import count

SPARK_CELLS = 60
_SPARK_WIDTH, _SPARK_HEIGHT = 180, 22
_SHARE_WIDTH, _SHARE_HEIGHT = 120, 14


def render_sections_html(
    sections: Sequence[Section], title: str, made_by: str, pages: Mapping[str, str] | None = None
) -> str:
    """The page. Texts are escaped wherever they stand. pages -- URLs of the pages of traces, by their paths."""
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "sections.css"))
    return environment().get_template("sections.html").render(
        title=title, style=style, style_hash=policy_hash(style), sections=sections, made_by=made_by, bars=_bars,
        links=partial(_links, pages=pages or {}), count=count, rest=FIND_THE_REST,
    )  # fmt: skip


def _links(cell: object, pages: Mapping[str, str]) -> list[tuple[str, str | None]] | None:
    """(name, URL or None) of traces; None for any other cell."""
    return [(name, pages.get(path)) for path, name in cell.named] if isinstance(cell, Traces) else None


def _bars(cell: object) -> dict[str, object] | None:
    """A spark or a share as rectangles; None for a text."""
    if isinstance(cell, Share):
        width = f"{max(_SHARE_WIDTH * cell.value, 1):.1f}"
        return {"width": _SHARE_WIDTH, "height": _SHARE_HEIGHT, "shapes": [("0", "2", width, "10")], "words": ""}
    if not isinstance(cell, Spark):
        return None
    cells = cell.cells(SPARK_CELLS)
    top = max((value for value in cells if value is not None), default=0.0)
    step = _SPARK_WIDTH / max(len(cells), 1)
    shapes = [
        (f"{place * step:.1f}", f"{_SPARK_HEIGHT * (1 - value / top):.1f}", f"{max(step - 0.5, 0.5):.1f}",
         f"{_SPARK_HEIGHT * value / top:.1f}")
        for place, value in enumerate(cells) if value
    ]  # fmt: skip
    return {"width": _SPARK_WIDTH, "height": _SPARK_HEIGHT, "shapes": shapes, "words": f"highest {top:.1%}"}
