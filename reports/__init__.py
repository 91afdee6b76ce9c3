"""The result model -> text, JSON, HTML, Markdown, JUnit, tables. Computes nothing of its own."""

from __future__ import annotations

from tracereplay.reports.shared.formats import Renderer, loaded_when_used

FORMATS: dict[str, Renderer] = {
    "text": loaded_when_used("text.report", "render_text"),
    "json": loaded_when_used("json", "render_json"),
    "html": loaded_when_used("html.report", "render_html"),
    "md": loaded_when_used("markdown", "render_markdown"),
    "mail": loaded_when_used("mail", "render_mail"),
    "github": loaded_when_used("github", "render_github"),
    "junit": loaded_when_used("junit", "render_junit"),
}
