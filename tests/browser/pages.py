"""A report open in the browser, and what a reader does with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from tracereplay.model.result import Result
from tracereplay.reports.html.report import render_html

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement


class ReportPage:
    """The report of a result, loaded from a file as a reader would."""

    def __init__(self, browser: Chrome, result: Result, folder: Path) -> None:
        path = folder / "report.html"
        path.write_text(render_html(result), encoding="utf-8")
        self.browser = browser
        browser.get_log("browser")  # type: ignore[no-untyped-call]  # what earlier pages said
        browser.get(path.as_uri())

    def run(self, script: str) -> Any:
        """A script in the page; what it returns."""
        return self.browser.execute_script(script)

    def one(self, selector: str) -> WebElement:
        """The first element that matches."""
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Every element that matches."""
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """A click, wherever on the page it is."""
        self.browser.execute_script("arguments[0].click()", self.one(selector))

    def text(self, selector: str) -> str:
        """What a reader sees there."""
        return self.one(selector).text

    def column(self, name: str) -> list[str]:
        """The cells of the shown table under this header."""
        headers = [header.text.strip("\u2191\u2193 ") for header in self.all("#table th")]
        place = headers.index(name) + 1
        return [cell.text for cell in self.all(f"#table tbody td:nth-child({place})")]

    def sort(self, name: str) -> None:
        """A click on this header."""
        header = next(h for h in self.all("#table th button") if h.text.strip("\u2191\u2193 ") == name)
        self.browser.execute_script("arguments[0].click()", header)

    def filter(self, words: str) -> None:
        """Words typed into the filter of the shown table."""
        field = self.one("#table input[type=search]")
        field.clear()
        if words:
            field.send_keys(words)

    def choose(self, name: str, value: str) -> None:
        """One value of a column chosen."""
        Select(self.one(f"#table select[aria-label='only {name}']")).select_by_visible_text(value)

    def slide(self, value: int) -> None:
        """The slider moved to a try."""
        self.run(f"const s = document.getElementById('try'); s.value = {value}; s.dispatchEvent(new Event('input'));")

    def pixels(self) -> str:
        """The map as it is drawn."""
        return str(self.run("return document.getElementById('map-canvas').toDataURL()"))

    def problems(self) -> list[str]:
        """What the console said since the page was opened, warnings and errors alike."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]
