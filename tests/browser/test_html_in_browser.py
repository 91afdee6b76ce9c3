"""The HTML report as a reader uses it: it draws, sorts, filters, zooms, and keeps to itself."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support import result_examples as example
from tests.support.result_strategies import RESULTS
from tracereplay.model.result import LayoutSummary, MapRun, Request, Result, Task, Try, UseRun
from tracereplay.reports.json import render_json

pages = pytest.importorskip("tests.browser.pages", reason="selenium is not installed (extra `browser`)")

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from tests.browser.pages import ReportPage


def opened(browser: Chrome, result: Result, folder: Path) -> ReportPage:
    page: ReportPage = pages.ReportPage(browser, result, folder)
    return page


@pytest.mark.parametrize("name", example.EXAMPLES)
def test_every_example_draws_without_a_word_on_the_console(browser: Chrome, name: str, tmp_path: Path) -> None:
    page = opened(browser, example.EXAMPLES[name](), tmp_path)
    attempts = page.run("return TABLES.attempts.id.length")
    if attempts:
        assert page.run("return document.querySelectorAll('#timeline-chart svg rect').length") > 0
        assert page.all("#table tbody tr")
    assert page.problems() == []


def test_occupancy_is_drawn_for_each_area_with_its_attempts(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    (chart,) = page.all("#occupancy-charts svg")
    assert chart.get_attribute("aria-label") == "reserved: 65,536 pages"
    assert page.run("return document.querySelectorAll('#occupancy-charts path').length") == 4
    assert page.run("return document.querySelectorAll('#occupancy-charts rect').length") == 3
    assert "taken by cma_alloc" in page.text("#occupancy-legend")
    assert page.problems() == []


def test_counters_of_one_enormous_moment_are_drawn(browser: Chrome, tmp_path: Path) -> None:
    result = example.pinned()
    result.inputs = []  # none tells when the trace ended
    for counter in result.counters:
        counter.input_id = None
        counter.time_ns = -(2**63)
    page = opened(browser, result, tmp_path)
    assert page.all("#occupancy-charts svg")
    assert page.problems() == []


def test_without_counters_there_is_no_such_section(browser: Chrome, tmp_path: Path) -> None:
    assert opened(browser, example.delayed(), tmp_path).all("#occupancy") == []


def test_first_screen_says_what_failed_and_who(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    said = page.text("#verdict")
    assert said.startswith('1 of 3 cma_alloc from "reserved" failed\npin-vmsplice (145) and pin-dead (148) blocked')
    bottoms = "return ['#map', '#ranking'].map(s => document.querySelector(s).getBoundingClientRect().bottom)"
    assert max(page.run(bottoms)) < 1000
    articles = page.text("#attempts")
    assert 'FAILED cma_alloc "reserved", 65,520 pages' in articles
    assert "8 pages held by pin-vmsplice (145) (task_reference, proved)" in articles
    assert articles.index("pin-vmsplice (145) since") < articles.index("pin-dead (148) since")


def test_tables_sort_both_ways_and_filter_by_word_pfn_and_choice(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.mixed(), tmp_path)
    page.sort("pages")
    up = [int(number) for number in page.column("pages")]
    page.sort("pages")
    down = [int(number) for number in page.column("pages")]
    assert up == sorted(up) != down == sorted(down, reverse=True)
    page.choose("cause", "buffer_head")
    assert set(page.column("cause")) == {"buffer_head"}
    page.choose("cause", "any cause")
    page.filter("pin-thp")
    assert page.column("PFN") == ["0x1e000"] * len(page.column("PFN")) != []
    page.filter("0x1e1ff")  # the last page of a run that starts elsewhere
    assert set(page.column("PFN")) == {"0x1e000"}
    page.filter("no such word")
    assert page.column("PFN") == []
    assert "no row" in page.text("#table .info")
    assert page.problems() == []


def test_tables_keep_to_the_chosen_attempt_when_asked(browser: Chrome, tmp_path: Path) -> None:
    twice = [
        example.attempt(id=f"a{n}", culprits=[example.culprit(id=f"{n}-{k}") for k in range(2 + n)]) for n in range(2)
    ]
    page = opened(browser, example.result(*twice), tmp_path)
    page.click("#table input.fold")
    assert page.column("attempt") == ["0", "0", "1", "1", "1"]
    page.click("#table input[type=checkbox]")
    assert page.column("attempt") == ["1", "1", "1"]  # the one that names the most is shown first
    page.click("#previous")
    assert page.column("attempt") == ["0", "0"]


def test_rows_that_say_the_same_are_one_that_opens(browser: Chrome, tmp_path: Path) -> None:
    buffers = [
        example.culprit(id=f"b{k}", cause="buffer_head", start_pfn=k * 4, pages=2, held_since_ns=(9 - k) * 10**9)
        for k in range(7)
    ]
    other = example.culprit(id="t", cause="task_reference", start_pfn=0x1E403, pages=5)
    page = opened(browser, example.result(example.attempt(culprits=[*buffers, other])), tmp_path)
    page.sort("pages")
    assert page.column("pages") == ["5", "14"]
    assert page.column("PFN") == ["0x1e403", "0x0 and 6 more"]
    assert page.column("held since")[1] == "3.000 s"  # the first of them
    assert page.column("attempt")[1].endswith("0 (7 rows)")
    assert page.text("#table .info") == "rows 1-2 of 2 for 8"
    page.click("#table tr.group")
    assert page.one("#table tr.group").get_attribute("aria-expanded") == "true"
    assert page.column("pages") == ["5", "14", *["2"] * 7]
    page.click("#table tr.member")
    assert "0x18" in page.text("#detail") or "0x0" in page.text("#detail")
    page.click("#table tr.group")
    assert page.column("pages") == ["5", "14"]
    page.click("#table input.fold")
    assert sorted(page.column("pages")) == ["2"] * 7 + ["5"]
    page.filter("0x8")
    assert page.column("PFN") == ["0x8"]
    assert page.problems() == []


def test_the_map_says_what_pages_without_events_are(browser: Chrome, tmp_path: Path) -> None:
    attempt = example.attempt(
        request=Request(pages=1024, start_pfn=0, end_pfn=1024),
        tries=[Try(index=0, start_pfn=0, end_pfn=1024, start_ns=0, end_ns=10**9, result="EBUSY")],
        map=[MapRun(try_index=0, start_pfn=0, pages=512, state="free"),
             MapRun(try_index=0, start_pfn=512, pages=512, state="held")],
        uses=[UseRun(start_pfn=0, pages=512, use="free"), UseRun(start_pfn=512, pages=300, use="anon"),
              UseRun(start_pfn=812, pages=200, use="page_table")],
        culprits=[],
    )  # fmt: skip
    page = opened(browser, example.result(attempt), tmp_path)
    legend = page.text("#legend")
    assert "anonymous memory, by kpageflags" in legend
    assert "page tables, by kpageflags" in legend
    assert "free, by kpageflags" not in legend
    page.run("app.map.tipAt(app.map.cellOf(600))")
    assert "without events, by kpageflags: 1 anonymous memory" in page.text("#map-tip")
    used = page.run("return AreaMap.mainUse(app.map.cells[app.map.cellOf(600)])")
    free = page.run("return AreaMap.mainUse(app.map.cells[app.map.cellOf(100)])")
    assert (used, free) == (page.run("return USE_NUMBERS.get('anon')"), None)
    assert page.problems() == []


def test_zoom_reaches_single_pages_and_comes_back(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    assert "a square is 2 pages" in page.text("#map-status")  # the first view: about the first culprit
    page.click("#zoom-all")
    whole = page.text("#map-status")
    assert "a square is 64 pages" in whole
    page.click("#culprit-next")
    assert "a square is 1 page" in page.text("#map-status")
    assert page.one("#map-tip").is_displayed()
    assert "task_reference (proved), pin-vmsplice (145)" in page.text("#map-tip")
    page.click("#zoom-all")
    assert page.text("#map-status") == whole
    for _ in range(5):
        page.click("#zoom-in")
    assert "a square is 1 page" in page.text("#map-status")
    for _ in range(5):
        page.click("#zoom-out")
    assert page.text("#map-status") == whole
    assert page.problems() == []


def test_map_by_keyboard(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    canvas = page.one("#map-canvas")
    canvas.send_keys("n")
    assert "0x1e403" in page.text("#map-tip")
    canvas.send_keys("n")
    assert "0x1e405" in page.text("#map-tip")
    canvas.send_keys("\ue014")  # right
    assert "0x1e406" in page.text("#map-tip")
    page.run("document.getElementById('detail').replaceChildren()")
    canvas.send_keys("\ue007")  # enter
    assert "task_reference" in page.text("#detail")


def test_slider_shows_which_tries_a_culprit_blocked(browser: Chrome, tmp_path: Path) -> None:
    culprits = [example.culprit(blocked_tries=[(0, 3)]), example.culprit(id="c1", start_pfn=0x1F000)]
    page = opened(browser, example.result(example.attempt(culprits=culprits)), tmp_path)
    last = page.pixels()
    assert "try 16 wanted" in page.text("#map-status")
    page.slide(2)
    assert "try 2 wanted 0xfc02-0x1fbf1: EBUSY, first blocking page 0x1e403" in page.text("#map-status")
    early = page.pixels()
    page.slide(3)
    page.run("app.map.area.culprits; return 0")
    assert early != last
    cells = "return [0, 16].map(row => app.map.area.cells(0x1e403, 1, 1, row)[0].now)"
    assert page.run(cells) == [1, 0]


def test_slider_shows_the_pages_as_they_were_at_each_try(browser: Chrome, tmp_path: Path) -> None:
    runs = [
        MapRun(try_index=at, start_pfn=0xFC00, pages=65_536, state=state) for at, state in ((0, "held"), (9, "moved"))
    ]
    attempt = example.attempt(map=runs)
    for at, shown in ((0, 0), (8, 9), (9, 9)):
        attempt.tries[at].map_try = shown
    page = opened(browser, example.result(attempt), tmp_path)
    assert page.text("#try-number") == "16 (0-16)"
    seen = []
    for at in (0, 8, 4, 16):
        page.slide(at)
        canvas = page.one("#map-canvas")
        canvas.send_keys("0")
        canvas.send_keys("\ue014")  # right: the tip of the first square
        seen.append((page.text("#map-tip").split("\n")[2], "pages as they were at" in page.text("#map-status")))
    assert seen == [
        ("64 not migrated, no culprit", False), ("64 moved away", False), ("64 moved away", True),
        ("64 moved away", True),
    ]  # fmt: skip
    assert page.text("#map-status").endswith("; pages as they were at try 9")
    assert page.problems() == []


def test_evidence_is_shown_event_by_event_with_its_stack(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    page.click("#table tbody tr:nth-child(2)")
    assert "page_ref_mod_unless" in page.text("#detail")
    assert "6.130493 s before" in page.text("#detail")
    page.run("document.querySelector('#detail details').open = true")
    assert "gup_fast_fallback" in page.text("#detail")


def test_what_is_only_informative_is_folded_below_the_verdict(browser: Chrome, tmp_path: Path) -> None:
    losses = [example.loss(), example.loss(id="l1", code="free_without_alloc", severity="info", end_ns=None)]
    page = opened(browser, example.result(example.attempt(), data_loss=losses), tmp_path)
    assert [item.text.split()[0] for item in page.all("#verdict > .losses li")] == ["loss"]
    assert page.text(".notes summary") == "1 note on what was read"
    above, below = (f"document.querySelector('{of}').getBoundingClientRect().top" for of in (".attempt", ".notes"))
    assert page.run(f"return {above} < {below}")


def test_signs_at_the_ends_of_bars_are_explained_where_they_occur(browser: Chrome, tmp_path: Path) -> None:
    seen = opened(browser, example.pinned(), tmp_path)
    assert "not seen" not in seen.text("#timeline-chart")
    culprits = [
        example.culprit(held_since_ns=None),
        example.culprit(id="c1", cause="writeback", released_ns=None, release="held_at_end"),
    ]
    page = opened(browser, example.result(example.attempt(culprits=culprits)), tmp_path)
    assert "\u25c2 taking not seen, \u25b8 still held when the trace ends" in page.text("#timeline-chart")


def test_theme_follows_the_system_and_the_button(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    background = "return getComputedStyle(document.body).backgroundColor"

    def system(value: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": value}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    system("light")
    light = page.run(background)
    system("dark")
    dark = page.run(background)
    page.click("#theme")
    assert [light, dark, page.run(background)] == ["rgb(251, 251, 249)", "rgb(18, 20, 25)", "rgb(251, 251, 249)"]
    system("light")


def test_paper_shows_no_buttons(browser: Chrome, tmp_path: Path) -> None:
    page = opened(browser, example.pinned(), tmp_path)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not any(button.is_displayed() for button in page.all("#map button, #picker select, #tabs button"))
        assert page.one("#map-canvas").is_displayed()
        assert page.one(".verdict").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


HOSTILE = (
    "</script><script>window.hit=1</script>",
    '"><img src=x onerror=window.hit=1>',
    "<!--<script>",
    "{{ 7 * 7 }}",
    "'-alert(1)-'",
    "javascript:window.hit=1",
    "\u2028\u202e",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_a_trace_inject_nothing(browser: Chrome, name: str, tmp_path: Path) -> None:
    task = Task(tid=1, pid=1, comm=name)
    culprit = example.culprit(
        holder=task, holder_name=name, mechanism=name, cause=name, candidates=[name], capture_next=[name]
    )
    culprit.evidence[0].text = culprit.evidence[0].event = name
    attempt = example.attempt(culprits=[culprit], area=name, task=task, errno=name, capture_next=[name], cause=name)
    result = example.result(attempt, inputs=[example.trace(path=name, kernel=name)])
    result.stacks[0].frames[0] = name
    result.tool.argv = [name]
    page = opened(browser, result, tmp_path)
    page.click("#culprit-next")
    page.run("document.querySelector('#detail details').open = true")
    shown = page.text("body")
    assert page.run("return window.hit") is None
    assert len(page.all("script")) == 2
    assert page.all("img") == []
    assert name.isprintable() is (name in shown)
    assert page.problems() == []


def test_ten_thousand_culprits_stay_quick(browser: Chrome, tmp_path: Path) -> None:
    many = [
        example.attempt(
            id=f"a{n}", start_ns=n * 10**9, end_ns=n * 10**9 + 10**8,
            request=Request(pages=65_536, start_pfn=0, end_pfn=65_536),
            culprits=[example.culprit(id=f"{n}-{k}", start_pfn=k * 64, pages=1 + k % 3) for k in range(100)],
            map=[MapRun(try_index=16, start_pfn=0, pages=65_536, state="free")],
        )
        for n in range(100)
    ]  # fmt: skip
    start = time.perf_counter()
    page = opened(browser, example.result(*many), tmp_path)
    assert page.text("#table .info") == "rows 1-25 of 100 for 10,000"
    page.click("#table input.fold")
    assert page.text("#table .info") == "rows 1-25 of 10,000"
    page.sort("PFN")
    page.click("#table .last")
    assert page.text("#table .info") == "rows 9,976-10,000 of 10,000"
    assert time.perf_counter() - start < 20
    assert page.run("return document.querySelectorAll('*').length") < 6000
    assert page.problems() == []


def test_an_area_of_terabytes_is_summed_up(browser: Chrome, tmp_path: Path) -> None:
    pages_ = 2**30  # 4 TiB
    attempt = example.attempt(
        request=Request(pages=pages_, start_pfn=0, end_pfn=pages_),
        tries=[Try(index=0, start_pfn=0, end_pfn=pages_, start_ns=0, end_ns=10**9, result="EBUSY")],
        map=[
            MapRun(try_index=0, start_pfn=k * 2**18, pages=2**18, state="free" if k % 2 else "moved")
            for k in range(4096)
        ],
        culprits=[example.culprit(id=f"c{k}", start_pfn=k * 2**25 + 77, blocked_tries=[(0, 0)]) for k in range(32)],
    )  # fmt: skip
    layout = LayoutSummary(page_size=4096, source="test", pageblock_pages=512)
    page = opened(browser, example.result(attempt, layout=layout), tmp_path)
    assert page.run("return app.map.cells.length") <= 1024
    page.click("#zoom-all")
    assert page.run("return app.map.cells.length") <= 1024
    assert page.text("#map-status").startswith("1,073,741,824 pages (4 TiB) from 0x0")
    assert page.run("return app.map.cells.filter(c => c.culprits.length).length") == 32
    spent = page.run(
        "const t = performance.now(); for (let n = 0; n < 5; n += 1) app.map.redraw(); return performance.now() - t"
    )
    assert spent < 2500
    page.click("#culprit-next")
    assert "a square is 1 page" in page.text("#map-status")
    assert page.problems() == []


def test_data_embedded_is_the_result(browser: Chrome, tmp_path: Path) -> None:
    result = example.mixed()
    page = opened(browser, result, tmp_path)
    starts = json.loads(page.run("return JSON.stringify(TABLES.culprits.start_pfn)"))
    assert starts == [c.start_pfn for a in result.attempts for c in a.culprits]


USE_EVERYTHING = """
const slider = document.getElementById("try"), canvas = document.getElementById("map-canvas");
for (let attempt = 0; attempt < TABLES.attempts.id.length; attempt += 1) {
  app.showAttempt(attempt);
  for (let at = 0; at <= Number(slider.max); at += 1) {
    slider.value = at;
    slider.dispatchEvent(new Event("input"));
  }
  for (const key of ["n", "p", "ArrowRight", "ArrowDown", "+", "Enter", "Enter", "-", "0", "ArrowUp", "Escape"]) {
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
  }
  for (const button of document.querySelectorAll("#map button, #timeline button")) button.click();
}
for (const tab of document.querySelectorAll("#tabs button")) {
  tab.click();
  for (const button of document.querySelectorAll("#table th button")) { button.click(); button.click(); }
  for (const row of document.querySelectorAll("#table tbody tr")) row.click();
  for (const words of ["0x1", "7", "no such word", ""]) {
    const field = document.querySelector("#table input[type=search]");
    field.value = words;
    field.dispatchEvent(new Event("input"));
  }
}
document.getElementById("theme").click();
const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
const odd = [];
while (walker.nextNode()) {
  if (/NaN|undefined|Infinity|\\[object/.test(walker.currentNode.data)) odd.push(walker.currentNode.data);
}
return odd;
"""


@settings(
    max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(RESULTS)
def test_any_result_can_be_used(browser: Chrome, tmp_path: Path, result: Result) -> None:
    page = opened(browser, result, tmp_path)
    odd = page.run(USE_EVERYTHING) if result.attempts else []
    assert page.problems() == []
    assert odd == [] or re.search(r"NaN|undefined|Infinity|\[object", render_json(result))
