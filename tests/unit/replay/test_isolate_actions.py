"""Tasks that isolate pages for no watched attempt: ISOLATE and ISOLATE_END, compiled and plain."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.replay_twin import ANON_MAPPING, Entry, entry, flags, run_both, stream
from tracereplay.replay.engine import ActionKind, ReplayAction
from tracereplay.replay.state import Mark, RefKind
from tracereplay.schema import Op

PAGE, USER, DRIVER = 1000, 77, 9
SPAN = ((PAGE, PAGE + 1),)


def get(ns: int, tid: int = USER) -> Entry:
    """page_ref_mod_unless +1 on an anonymous page mapped once."""
    word = flags("uptodate", "swapbacked", "lru")
    return entry(ns, tid, Op.REF_MOD_UNLESS, PAGE, val=1, count=2, mapcount=0, mapping=ANON_MAPPING, flags=word, ret=1)


def window(start_ns: int, end_ns: int, tid: int | None = USER) -> list[ReplayAction]:
    """The task isolates from start_ns to end_ns."""
    return [
        ReplayAction(start_ns, ActionKind.ISOLATE, 0, (), tid),
        ReplayAction(end_ns, ActionKind.ISOLATE_END, 0, (), tid),
    ]


def kind(ns: int, actions: Sequence[ReplayAction], tid: int = USER) -> RefKind:
    """What the get at `ns` is; both replays agree."""
    engine, plain = run_both([stream([get(ns, tid)])], actions)
    (ref,) = engine.open_refs(PAGE)
    assert [one.kind for one in plain.pages[PAGE].refs] == [RefKind(int(ref["kind"]))]
    return RefKind(int(ref["kind"]))


def test_a_window_holds_from_its_begin_to_its_end() -> None:
    for ns, expected in ((9, RefKind.GET), (10, RefKind.ISOLATION), (20, RefKind.ISOLATION), (21, RefKind.GET)):
        assert kind(ns, window(10, 20)) is expected
    assert kind(15, window(15, 15)) is RefKind.ISOLATION


def test_a_window_is_of_one_task() -> None:
    assert kind(15, window(10, 20), DRIVER) is RefKind.GET
    assert kind(15, window(10, 20, None)) is RefKind.GET


def test_overlapping_windows_end_with_the_last() -> None:
    actions = [*window(10, 20), *window(15, 40)]
    assert [kind(ns, actions) for ns in (30, 41)] == [RefKind.ISOLATION, RefKind.GET]
    attempt = [ReplayAction(15, ActionKind.WATCH, 1, SPAN, USER), ReplayAction(40, ActionKind.UNWATCH, 1, (), USER)]
    assert [kind(ns, [*window(10, 20), *attempt]) for ns in (12, 30, 41)] == [
        RefKind.ISOLATION, RefKind.ISOLATION, RefKind.GET,
    ]  # fmt: skip


def test_an_end_without_a_begin_changes_nothing() -> None:
    assert kind(15, window(10, 20)[1:]) is RefKind.GET
    assert kind(25, [*window(10, 20)[1:], *window(22, 30)]) is RefKind.ISOLATION


def test_only_the_task_of_the_attempt_touches_its_pages() -> None:
    watch = [ReplayAction(5, ActionKind.WATCH, 1, SPAN, DRIVER), *window(1, 30)]
    for tid, touched in ((USER, False), (55, False), (DRIVER, True)):
        engine, plain = run_both([stream([get(10, tid)])], watch, background=(55,))
        assert bool(engine.pages(PAGE, PAGE + 1)[0]["marks"] & Mark.ISOLATED) is touched
        assert plain.pages[PAGE].is_(Mark.ISOLATED) is touched
