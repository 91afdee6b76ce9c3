"""What would have helped -> text, Markdown, HTML, JSON; and the list of policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tracereplay.model.whatif import WhatIf
from tracereplay.reports.shared.formats import Renderer, loaded_when_used
from tracereplay.reports.shared.style import Style, escape_control_chars


class ListedKey(Protocol):
    """A key of a policy, as the list needs it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def sentence(self) -> str:
        """What it says."""
        ...

    @property
    def default(self) -> Any:
        """Its value where none is given."""
        ...


class ListedPolicy(Protocol):
    """A policy, as the list needs it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def sentence(self) -> str:
        """What it changes."""
        ...

    @property
    def says(self) -> str:
        """What may be claimed."""
        ...

    @property
    def discussed(self) -> Sequence[str]:
        """Where it was."""
        ...

    @property
    def state(self) -> str:
        """Merged, posted, ..."""
        ...

    @property
    def engine(self) -> str:
        """The weakest that answers it."""
        ...

    @property
    def keys(self) -> Sequence[Any]:
        """Its keys."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """Events it cannot do without."""
        ...


def _text(document: WhatIf, style: Style) -> str:
    from tracereplay.reports.text.sections import render_sections_text  # noqa: PLC0415
    from tracereplay.reports.whatif.sections import whatif_sections  # noqa: PLC0415

    return render_sections_text(whatif_sections(escape_control_chars(document), style), style)


def _md(document: WhatIf, style: Style) -> str:
    from tracereplay.reports.sections_markdown import render_sections_markdown  # noqa: PLC0415
    from tracereplay.reports.whatif.sections import whatif_sections  # noqa: PLC0415

    return render_sections_markdown(whatif_sections(escape_control_chars(document), style))


def _html(document: WhatIf, style: Style) -> str:
    from tracereplay.reports.html.sections import render_sections_html  # noqa: PLC0415
    from tracereplay.reports.whatif.sections import whatif_sections  # noqa: PLC0415

    sections = whatif_sections(escape_control_chars(document), Style(style.width, style.color, full=True))
    return render_sections_html(
        sections, "What would have helped - tracereplay", f"tracereplay {document.tool.version}"
    )


FORMATS: dict[str, Renderer] = {
    "text": _text,
    "json": loaded_when_used("json", "render_json"),
    "html": _html,
    "md": _md,
}


def render_policies(policies: Sequence[ListedPolicy], style: Style) -> str:
    """The policies for a terminal, one paragraph each."""
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from tracereplay.reports.shared.style import render_blocks  # noqa: PLC0415

    blocks: list[Any] = []
    for policy in policies:
        keys = ", ".join(key.name for key in policy.keys)
        blocks.append(Text(f"{policy.name}{f'  ({keys})' if keys else ''}", style="bold"))
        lines = [f"{policy.sentence}. {policy.says}".strip(), f"engine {policy.engine}; {policy.state}"]
        lines += [f"discussed: {where}" for where in policy.discussed]
        lines += [f"{key.name}: {key.sentence}" for key in policy.keys] if style.full else []
        blocks += [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    return render_blocks(blocks, style)
