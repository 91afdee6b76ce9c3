"""The first screen of the HTML report: what is where, what the pointer does, and that it fits a phone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import ReportPage
from tests.support import result_examples as example
from tests.unit.model.test_summary import four
from tracereplay.model.result import Allocation, MapRun, Result, Try

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


@pytest.fixture
def laptop(browser: Chrome) -> Iterator[None]:
    metrics = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def boxes(page: ReportPage, *selectors: str) -> list[dict[str, float]]:
    """Where each is: left, top, right, bottom."""
    found: list[dict[str, float]] = page.run(
        f"return {list(selectors)}.map(s => document.querySelector(s).getBoundingClientRect().toJSON())"
    )
    return found


@pytest.mark.usefixtures("laptop")
@pytest.mark.parametrize("make", [example.pinned, failures], ids=["one failure", "four failures"])
def test_ten_seconds_without_scrolling(browser: Chrome, make: Callable[[], Result], tmp_path: Path) -> None:
    """The order that docs/reading.md promises: from top to bottom, and beside the map why and how sure."""
    page = ReportPage(browser, make(), tmp_path)
    order = ["h1", ".lede", "#cards .card[aria-pressed=true]", "#overview", "#map-canvas", "#timeline-title"]
    found = boxes(page, *order)
    assert [box["top"] for box in found] == sorted(box["top"] for box in found)
    assert all(above["bottom"] <= below["top"] + 1 for above, below in itertools.pairwise(found[:3]))
    assert all(box["bottom"] <= 900 for box in found[:-1])
    assert found[-1]["top"] < 900
    area, ranking, sure, cause, steps = boxes(
        page, "#map", "#ranking li", "#ranking .badge", "#ranking .cause", "#steps"
    )
    for beside in (ranking, sure, cause, steps):
        assert beside["left"] >= area["right"]
        assert beside["top"] < 900
    assert ranking["top"] < steps["top"]
    sizes = page.run(
        "return ['h1', '.lede', '.card'].map(s => parseFloat(getComputedStyle(document.querySelector(s)).fontSize))"
    )
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3
    assert re.match(r"[14] of [35]$", page.text("h1 .bad"))
    low, high, focus = page.run("return [app.map.low, app.map.high, app.map.focus]")
    assert low <= focus < high


@pytest.mark.usefixtures("laptop")
def test_words_are_readable_in_light_and_dark(browser: Chrome, tmp_path: Path) -> None:
    """WCAG 2: 4.5 to 1 for texts, 3 to 1 for what is drawn, against what is behind it."""
    page = ReportPage(browser, failures(), tmp_path)
    for dark in (False, True):
        page.run(f"setTheme({'dark' if dark else 'light'!r})")
        texts = ["h1", ".lede", ".card .dim", "#ranking .dim", ".badge", "#map-status", "#legend li", "footer p"]
        assert {name: ratio for name in texts if (ratio := contrast(page, name, "color")) < 4.5} == {}
        bars = [f"#ranking li:nth-child({n}) .bar rect:last-child" for n in (1, 2)]
        assert {name: ratio for name in bars if (ratio := contrast(page, name, "fill")) < 3} == {}


def contrast(page: ReportPage, selector: str, what: str) -> float:
    """Of a colour of an element to the background that it stands on."""
    return float(
        page.run(f"""
        const at = document.querySelector({selector!r});
        const parts = (color) => color.match(/[\\d.]+/g).map(Number);
        let on = at;
        while ((parts(getComputedStyle(on).backgroundColor)[3] ?? 1) === 0) on = on.parentElement;
        const light = (color) => {{
          const [r, g, b] = parts(color).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        }};
        const pair = [getComputedStyle(at)[{what!r}], getComputedStyle(on).backgroundColor].map(light).sort();
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);""")
    )


def test_a_log_without_page_frames_has_no_map(browser: Chrome, tmp_path: Path) -> None:
    attempt = example.attempt(tries=[], culprits=[], cause=None, map=[], log_line=3, area=None)
    attempt.request.start_pfn = attempt.request.end_pfn = None
    page = ReportPage(browser, example.result(attempt), tmp_path)
    assert page.text("#map-status") == "No page frame of this attempt is known."
    assert not page.one("#map-canvas").is_displayed()
    assert not page.one("#try").is_displayed()
    assert "tries" not in page.text("#timeline-chart")
    assert page.problems() == []


def test_what_a_success_took_is_drawn_at_its_place(browser: Chrome, tmp_path: Path) -> None:
    result = failures()
    (fine,) = (a for a in result.attempts if a.outcome == "succeeded")
    taken = Try(index=0, start_pfn=0xFC00 + 32_768, end_pfn=0x1FC00, start_ns=0, end_ns=1, result="succeeded")
    picture = "const c = [...document.querySelectorAll('canvas.mini')].at(-1); return c.toDataURL()"
    before = ReportPage(browser, result, tmp_path).run(picture)
    fine.tries = [taken]
    page = ReportPage(browser, result, tmp_path)
    assert page.run(picture) != before
    assert page.problems() == []
