"""What is said of a corpus -> text, HTML, Markdown, JSON, JUnit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracereplay.reports.shared.formats import Renderer, loaded_when_used
from tracereplay.reports.shared.style import Style, escape_control_chars

if TYPE_CHECKING:
    from tracereplay.reports.shared.sections import Section


def _sections(document: Any, style: Style) -> Sequence[Section]:
    from tracereplay.model.corpus import CorpusDiff, CorpusReport, CorpusWhatIf  # noqa: PLC0415
    from tracereplay.reports.corpus.sections import diff_sections, gate_sections, report_sections  # noqa: PLC0415
    from tracereplay.reports.corpus.whatif_sections import whatif_sections  # noqa: PLC0415

    document = escape_control_chars(document)
    if isinstance(document, CorpusReport):
        return report_sections(document, style)
    if isinstance(document, CorpusWhatIf):
        return whatif_sections(document, style)
    return diff_sections(document, style) if isinstance(document, CorpusDiff) else gate_sections(document, style)


def _text(document: Any, style: Style) -> str:
    from tracereplay.reports.text.sections import render_sections_text  # noqa: PLC0415

    return render_sections_text(_sections(document, style), style)


def _md(document: Any, style: Style) -> str:
    from tracereplay.reports.sections_markdown import render_sections_markdown  # noqa: PLC0415

    return render_sections_markdown(_sections(document, style))


def _html(document: Any, style: Style) -> str:
    return render_with_pages(document, style, {})


def render_with_pages(document: Any, style: Style, pages: Mapping[str, str]) -> str:
    """The HTML page; pages -- where the blame pages of traces are, relative to it, by path of the trace."""
    from tracereplay.reports.html.sections import render_sections_html  # noqa: PLC0415

    # A page has room: everything is on it.
    sections = _sections(document, Style(style.width, style.color, full=True))
    return render_sections_html(
        sections, f"{sections[0].title} - tracereplay", f"tracereplay {document.tool.version}", pages
    )


REPORT_FORMATS: dict[str, Renderer] = {
    "text": _text,
    "json": loaded_when_used("json", "render_json"),
    "html": _html,
    "md": _md,
}
DIFF_FORMATS: dict[str, Renderer] = REPORT_FORMATS
GATE_FORMATS: dict[str, Renderer] = {**REPORT_FORMATS, "junit": loaded_when_used("corpus.junit", "render_gate_junit")}
