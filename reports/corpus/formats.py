"""What is said of a corpus -> text, HTML, Markdown, JSON, JUnit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tracereplay.reports.shared.style import Style, harmless

if TYPE_CHECKING:
    from tracereplay.reports.shared.sheets import Sheet

Renderer = Callable[[Any, Style], str]


def _sheets(document: Any, style: Style) -> Sequence[Sheet]:
    from tracereplay.model.corpus import CorpusDiff, CorpusReport, CorpusWhatIf  # noqa: PLC0415
    from tracereplay.reports.corpus.sheets import diff_sheets, gate_sheets, report_sheets  # noqa: PLC0415
    from tracereplay.reports.corpus.whatif_sheets import whatif_sheets  # noqa: PLC0415

    document = harmless(document)
    if isinstance(document, CorpusReport):
        return report_sheets(document, style)
    if isinstance(document, CorpusWhatIf):
        return whatif_sheets(document, style)
    return diff_sheets(document, style) if isinstance(document, CorpusDiff) else gate_sheets(document, style)


def _text(document: Any, style: Style) -> str:
    from tracereplay.reports.text.sheets import render_sheets_text  # noqa: PLC0415

    return render_sheets_text(_sheets(document, style), style)


def _md(document: Any, style: Style) -> str:
    from tracereplay.reports.sheets_markdown import render_sheets_markdown  # noqa: PLC0415

    return render_sheets_markdown(_sheets(document, style))


def _html(document: Any, style: Style) -> str:
    from tracereplay.reports.html.sheets import render_sheets_html  # noqa: PLC0415

    # A page has room: everything is on it.
    sheets = _sheets(document, Style(style.width, style.color, full=True))
    return render_sheets_html(sheets, f"{sheets[0].title} - tracereplay", f"tracereplay {document.tool.version}")


def _json(document: Any, style: Style) -> str:  # noqa: ARG001
    from tracereplay.reports.json import render_json  # noqa: PLC0415

    return render_json(document)


def _junit(document: Any, style: Style) -> str:  # noqa: ARG001
    from tracereplay.reports.corpus.junit import render_gate_junit  # noqa: PLC0415

    return render_gate_junit(document)


REPORT_FORMATS: dict[str, Renderer] = {"text": _text, "json": _json, "html": _html, "md": _md}
DIFF_FORMATS: dict[str, Renderer] = REPORT_FORMATS
GATE_FORMATS: dict[str, Renderer] = {**REPORT_FORMATS, "junit": _junit}
