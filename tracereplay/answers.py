"""What a session answers, as documents of the model that tabulate, draw and show themselves in a notebook."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tracereplay.errors import UsageError
from tracereplay.model import page, result
from tracereplay.model.derived.inputs import LOSSES
from tracereplay.model.page_runs import distinct_pages
from tracereplay.units import format_pfn

if TYPE_CHECKING:
    import pandas
    import polars

    from tracereplay.model.tables import Tables


class Result(result.Result, kw_only=True):
    """What `blame` and `inventory` found: the document that `--format json` prints, with tables and pictures.

    Equal to any other document of the same content. All fields are described in docs/reference.md.
    """

    @property
    def tables(self) -> Tables:
        """Arrow tables by name, one row per object (docs/reference.md); made anew at each use."""
        from tracereplay.model.tables import result_tables  # noqa: PLC0415

        return result_tables(self)

    def to_polars(self) -> dict[str, polars.DataFrame]:
        """All tables as polars frames, by name. Raises UsageError where polars is not installed."""
        return self.tables.to_polars()

    def to_pandas(self) -> dict[str, pandas.DataFrame]:
        """All tables as pandas frames of Arrow types, by name. Raises UsageError where pandas is not installed."""
        return self.tables.to_pandas()

    def plot(self, kind: str = "map", *, try_index: int | None = None) -> Picture:
        """A picture, which notebooks show and `save` writes: map, timeline, blame, hold-times or occupancy.

        try_index -- of a map: as it was at this try of the attempt; None: at the last, with all culprits.
        Raises UsageError where matplotlib is not installed, or where the result holds nothing of that kind.
        """
        return Picture(self, kind, try_index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, result.Result):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in result.Result.__struct_fields__)

    __hash__ = None  # type: ignore[assignment]  # its fields can be changed

    def __repr__(self) -> str:
        from tracereplay.reports.shared.wording import count  # noqa: PLC0415

        outcomes = Counter(attempt.outcome for attempt in self.attempts if not attempt.inventory)
        said = ", ".join(f"{number:,} {word}" for word, number in outcomes.items())
        parts = [f"{count(outcomes.total(), 'attempt')} ({said})"] if outcomes else []
        if inventories := len(self.attempts) - outcomes.total():
            parts.append(count(inventories, "inventory", "inventories"))
        parts += [] if self.attempts else ["no attempt"]
        for effect, words in (("blocked", "blocked migration"), ("would_block", "would block migration")):
            of_effect = ([c for c in attempt.culprits if c.effect == effect] for attempt in self.attempts)
            if pages := sum(map(distinct_pages, of_effect)):
                parts.append(f"{count(pages, 'page')} {words}")
        lost = sum(loss.severity in LOSSES for loss in self.data_loss)
        parts.append(count(lost, "loss", "losses") if lost else "no data lost")
        return f"<tracereplay.Result: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        from tracereplay.reports.html.cells import result_cell  # noqa: PLC0415

        return result_cell(self)


class PageLife(page.PageLife, kw_only=True):
    """The life of one page, as `page` found it."""

    def __repr__(self) -> str:
        from tracereplay.reports.shared.wording import count  # noqa: PLC0415

        events = sum(len(life.events) for life in self.lives)
        lives = count(len(self.lives), "life", "lives")
        return f"<tracereplay.PageLife of PFN {format_pfn(self.pfn)}: {lives}, {count(events, 'event')}>"

    def _repr_html_(self) -> str:
        from tracereplay.reports.html.cells import page_cell  # noqa: PLC0415

        return page_cell(self)


class Picture:
    """A picture of a result: notebooks show it, `save` writes it."""

    def __init__(self, of: result.Result, kind: str, try_index: int | None = None) -> None:
        from tracereplay.reports.plots import KINDS, render_plot  # noqa: PLC0415

        if kind not in KINDS:
            raise UsageError(f"no picture is called {kind!r}: {', '.join(KINDS)}")
        if try_index is not None and kind != "map":
            raise UsageError("try_index goes with the map")
        self._of, self._kind, self._try_index = of, kind, try_index
        self._svg = render_plot(of, kind, "svg", try_index).decode()

    def save(self, path: str | Path) -> None:
        """Write it; the name ends in .png, .svg or .pdf. Raises UsageError where that cannot be done."""
        from tracereplay.reports.plots import SUFFIXES, render_plot  # noqa: PLC0415

        suffix = Path(path).suffix.lower().removeprefix(".")
        if suffix not in SUFFIXES:
            raise UsageError(f"{path}: ends in none of .{', .'.join(SUFFIXES)}")
        try:
            Path(path).write_bytes(render_plot(self._of, self._kind, suffix, self._try_index))
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error

    def __repr__(self) -> str:
        return f"<tracereplay.Picture: {self._kind}>"

    def _repr_svg_(self) -> str:
        return self._svg
