"""The first screen of the HTML report: what is where, what the pointer does, and that it fits a phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import ReportPage
from tests.support import result_examples as example
from tests.unit.model.test_summary import four
from tracereplay.model.result import Allocation, MapRun, Result

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def failures() -> Result:
    """Four failures of one area, a success, and a map of each failure."""
    attempts = four()
    for attempt in attempts[:4]:
        attempt.map = [MapRun(try_index=16, start_pfn=0xFC00, pages=65_536, state="free")]
    return example.result(*attempts)


def drag(page: ReportPage, selector: str, *, start: float, end: float) -> None:
    """The pointer from one share of an element's width to another."""
    page.run(
        f"""
        const at = document.querySelector({selector!r}), box = at.getBoundingClientRect();
        at.setPointerCapture = () => {{}};
        const send = (type, share) => at.dispatchEvent(new PointerEvent(type, {{
          bubbles: true, pointerId: 1, clientX: box.left + share * box.width, clientY: box.top + 30 }}));
        send("pointerdown", {start}); send("pointermove", {end}); send("pointerup", {end});"""
    )


def test_order_on_the_page_is_sentence_attempts_map_holders(browser: Chrome, tmp_path: Path) -> None:
    page = ReportPage(browser, failures(), tmp_path)
    assert page.text("h1") == '4 of 5 cma_alloc from "reserved" failed'
    assert page.text(".lede").startswith("file system metadata of 254:16 blocked 4 of 4 failed cma_alloc")
    order = ["h1", ".lede", "#cards", "#overview", "#map-canvas", "#timeline-chart", "#attempts"]
    tops = page.run(f"return {order}.map(s => document.querySelector(s).getBoundingClientRect().top)")
    assert tops == sorted(tops)
    assert tops[order.index("#timeline-chart")] < 1000
    shares = [share.text for share in page.all("#ranking .share")]
    assert shares == ["4 of 4", "2 of 4"]
    assert page.problems() == []


def test_each_attempt_has_a_small_picture_that_chooses_it(browser: Chrome, tmp_path: Path) -> None:
    page = ReportPage(browser, failures(), tmp_path)
    assert len(page.all("#cards .card")) == 5
    pictures = page.run("return [...document.querySelectorAll('canvas.mini')].map(c => c.toDataURL())")
    assert pictures[0] == pictures[1] != pictures[2] == pictures[3] != pictures[4]
    page.click('.card[data-attempt="2"]')
    assert page.run("return app.attempt") == 2
    pressed = "return [...document.querySelectorAll('.card[aria-pressed=true]')].map(c => c.dataset.attempt)"
    assert page.run(pressed) == ["2"]


def test_the_first_view_is_about_the_page_that_blocked_first(browser: Chrome, tmp_path: Path) -> None:
    page = ReportPage(browser, failures(), tmp_path)
    low, high = page.run("return [app.map.low, app.map.high]")
    first = example.attempt().tries[-1].first_blocking_pfn
    assert first is not None
    assert low <= first < high
    assert high - low == 2048
    for _ in range(6):
        page.click("#zoom-in")
    low, high = page.run("return [app.map.low, app.map.high]")
    assert low <= first < high  # zooming keeps it in view


def test_the_strip_chooses_what_the_map_shows(browser: Chrome, tmp_path: Path) -> None:
    page = ReportPage(browser, failures(), tmp_path)
    drag(page, "#overview", start=0.25, end=0.5)
    low, high = page.run("return [app.map.low, app.map.high]")
    whole = 65_536
    assert abs(low - (0xFC00 + whole // 4)) < whole // 50
    assert abs(high - (0xFC00 + whole // 2)) < whole // 50
    drag(page, "#overview", start=0.1, end=0.1)  # a click: the same size, elsewhere
    assert page.run("return app.map.low") < low
    assert page.problems() == []


def test_time_drawn_over_is_zoomed_into(browser: Chrome, tmp_path: Path) -> None:
    page = ReportPage(browser, failures(), tmp_path)
    before: list[Any] = page.run("return [app.timeline.low, app.timeline.high]")
    drag(page, "#timeline-chart", start=0.5, end=0.7)
    low, high = page.run("return [app.timeline.low, app.timeline.high]")
    assert before[0] < low < high < before[1]
    page.run("document.getElementById('timeline-chart').dispatchEvent(new MouseEvent('dblclick'))")
    assert page.run("return [app.timeline.low, app.timeline.high]") == before
    assert page.problems() == []


def test_the_pointer_names_page_address_folio_and_holder(browser: Chrome, tmp_path: Path) -> None:
    huge = example.culprit(
        start_pfn=0x1E000,
        pages=512,
        order=9,
        primary=True,
        allocated_by=Allocation(tid=145, comm="pin-vmsplice", order=9),
    )
    attempt = example.attempt(culprits=[huge], map=[MapRun(try_index=16, start_pfn=0xFC00, pages=65_536, state="free")])
    page = ReportPage(browser, example.result(attempt), tmp_path)
    page.one("#map-canvas").send_keys("n")
    tip = page.text("#map-tip")
    assert tip.startswith("PFN 0x1e000\n[mem 0x1e000000-0x1e000fff]\n")
    assert "1 folio of 2 MiB task_reference (proved), pin-vmsplice (145)" in tip
    titles = page.run("return [...document.querySelectorAll('#timeline-chart title')].map(t => t.textContent)")
    assert "pin-vmsplice (145), 1 folio of 2 MiB" in titles


@pytest.mark.parametrize("width", [360, 390, 820])
def test_nothing_is_wider_than_a_phone(browser: Chrome, tmp_path: Path, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        result = failures()
        result.inputs += [example.trace(id="i1", role="kpageflags", path="a/kpageflags.before.0xfc00-0x1fc00.bin.gz")]
        page = ReportPage(browser, result, tmp_path)
        assert page.run("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
