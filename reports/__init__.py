"""The result model -> text, JSON, HTML, Markdown, JUnit, tables. Computes nothing of its own."""

from __future__ import annotations

from tracereplay.reports.shared.formats import Format, loaded_when_used

# All that `--format` takes. README's table is written from it, and tests of every format run over it.
FORMATS: dict[str, Format] = {
    "text": Format("for the terminal; the area in characters", loaded_when_used("text.report", "render_text")),
    "json": Format("the whole result", loaded_when_used("json", "render_json")),
    "html": Format(
        "one file to open, keep and pass on: map, timeline, tables, evidence; needs no network and loads nothing",
        loaded_when_used("html.report", "render_html"),
    ),
    "md": Format(
        "short Markdown for an issue, with the evidence quoted and the command that reproduces it",
        loaded_when_used("markdown", "render_markdown"),
    ),
    "mail": Format(
        "plain text of 72 columns: every failure, the evidence quoted, the command that reproduces it",
        loaded_when_used("mail", "render_mail"),
    ),
    "github": Format(
        "a comment: the sentence and a table, details folded", loaded_when_used("github", "render_github")
    ),
    "junit": Format("JUnit XML for CI: one case per attempt", loaded_when_used("junit", "render_junit")),
}
