"""A session as a program uses it: questions, events, times, the end of it, and what a prompt shows."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xxhash

import tracereplay
from tests.support.captures import capture
from tracereplay import capabilities
from tracereplay.answers import PageLife, Result
from tracereplay.cli.main import main
from tracereplay.errors import UsageError
from tracereplay.schema import Window
from tracereplay.session import Session

NAME = "cma_pin_vmsplice"
PFN_EVENT = "mm_page_free"


@pytest.fixture(scope="module")
def folder() -> Path:
    return capture(NAME)


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    with tracereplay.open(folder / "trace.dat", layout=folder / "layout_before") as opened:
        yield opened


@pytest.fixture
def log_alone(tmp_path: Path) -> Session:
    (tmp_path / "dmesg").write_text("[    1.5] cma: cma_alloc: reserved: alloc failed, req-size: 8 pages, ret: -16\n")
    return tracereplay.open(kernel_log=tmp_path / "dmesg")


def reads(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments of every reading of tables from now on."""
    calls: list[object] = []
    tables = type(session.reader).tables

    def counted(self: object, names: object = None, window: object = None) -> object:
        calls.append((names, window))
        return tables(self, names, window)  # type: ignore[arg-type]

    monkeypatch.setattr(type(session.reader), "tables", counted)
    return calls


def test_answers_are_those_that_show_themselves(session: Session) -> None:
    assert type(session.blame()) is Result
    assert type(session.page(0x10000)) is PageLife


def test_events_are_read_once_and_when_used(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = reads(session, monkeypatch)
    events = session.events([PFN_EVENT, "no_such_event"])
    assert "not read yet" in repr(events)
    assert calls == []
    number = session.reader.info.by_event[PFN_EVENT]
    assert events[PFN_EVENT].num_rows == number
    assert list(events) == [PFN_EVENT]
    assert "no_such_event" not in events
    assert calls == [([PFN_EVENT, "no_such_event"], None)]
    assert repr(events) == f"<tracereplay.Events of trace.dat: {PFN_EVENT} {number:,}>"


def test_all_events_add_up(session: Session) -> None:
    assert {name: table.num_rows for name, table in session.events().items()} == session.reader.info.by_event


def test_a_window_is_in_ns_or_seconds(session: Session) -> None:
    times = session.events(PFN_EVENT)[PFN_EVENT]["time_ns"].to_numpy()
    first, last = int(times[len(times) // 4]), int(times[len(times) // 2])
    wanted = int(((times >= first) & (times <= last)).sum())
    for window in ((first, last), (np.int64(first), np.int64(last))):
        assert session.events(PFN_EVENT, window=window)[PFN_EVENT].num_rows == wanted  # type: ignore[arg-type]
    assert session.events(PFN_EVENT, window=(first, None))[PFN_EVENT].num_rows == int((times >= first).sum())
    assert session.events(PFN_EVENT, (first / 1e9, last / 1e9))._window == Window(first, last)
    assert len(session.events(PFN_EVENT, window=(last + 1, last + 1))) in (0, 1)


def test_events_as_frames(session: Session) -> None:
    number = session.reader.info.by_event[PFN_EVENT]
    events = session.events(PFN_EVENT)
    for name, frames in (("polars", events.to_polars), ("pandas", events.to_pandas)):
        pytest.importorskip(name)
        assert len(frames()[PFN_EVENT]) == number


def test_an_inventory_takes_ns_and_seconds(session: Session) -> None:
    info = session.reader.info
    assert info.start_ns is not None
    assert info.end_ns is not None
    at_ns = (info.start_ns + info.end_ns) // 2
    by_ns, by_s = session.inventory(at=at_ns), session.inventory(at=at_ns / 1e9)
    assert [attempt.start_ns for attempt in by_ns.attempts] == [at_ns] * len(by_ns.attempts) != []
    assert all(abs(attempt.begin_ns - at_ns) <= 1 for attempt in by_s.attempts)
    several = session.inventory(at=np.array([at_ns, at_ns + 5]))
    assert {attempt.start_ns for attempt in several.attempts} == {at_ns, at_ns + 5}


@pytest.mark.parametrize("at", [math.nan, math.inf, "soon", [None]])
def test_what_is_no_time_is_refused(session: Session, at: object) -> None:
    with pytest.raises(UsageError, match="is no time"):
        session.inventory(at=at)  # type: ignore[arg-type]


def test_times_outside_the_trace_are_refused(session: Session, log_alone: Session) -> None:
    with pytest.raises(UsageError, match="is not in the trace"):
        session.inventory(at=6)  # ns, as every integer is
    for one in (session, log_alone):
        with pytest.raises(UsageError, match="needs a time"):
            one.inventory(area="reserved")


def test_policies_are_named_as_on_the_command_line(session: Session) -> None:
    with pytest.raises(UsageError, match="no-such-rule"):
        session.whatif(["no-such-rule"])


def test_without_a_trace_there_are_no_events(log_alone: Session) -> None:
    with pytest.raises(UsageError, match="no trace was opened"):
        log_alone.events()


def test_closed_is_closed(folder: Path, tmp_path: Path) -> None:
    path = str(shutil.copy(folder / "trace.dat", tmp_path.resolve()))  # other tests may have the capture itself mapped
    with tracereplay.open(path) as session:
        result, events = session.blame(), session.events(PFN_EVENT)
        assert path in Path("/proc/self/maps").read_text(errors="replace")
    assert repr(session) == "<tracereplay.Session: closed>"
    for question in (session.blame, session.info, session.events, session.inventory, lambda: session.page(1)):
        with pytest.raises(UsageError, match="the session is closed"):
            question()
    assert result.attempts
    assert events[PFN_EVENT].num_rows
    del events
    gc.collect()
    assert path not in Path("/proc/self/maps").read_text(errors="replace")


def test_an_error_inside_comes_out(folder: Path) -> None:
    with pytest.raises(ValueError, match="mine"), tracereplay.open(folder / "trace.dat"):
        raise ValueError("mine")


def test_a_prompt_and_a_notebook_show_the_inputs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracereplay.capabilities.digest", lambda _path: pytest.fail("digests take a while"))
    number = f"{session.reader.info.events:,} events"
    assert repr(session).startswith("<tracereplay.Session: trace.dat (trace.dat v")
    assert f", {number}), layout_before (" in repr(session)
    html = session._repr_html_()
    assert number in html
    assert html.count("<tr>") == 3


def test_the_command_line_alone_notes_its_arguments(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["a-program", "--its-option"])
    with tracereplay.open(folder / "trace.dat") as session:
        assert session.blame().tool.argv == []
        assert session.info().tool == session.page(1).tool == session.blame().tool
    for verb in (["blame"], ["info"], ["page", "1"]):
        words = [*verb, str(folder / "trace.dat"), "--format", "json", "--quiet"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["tool"]["argv"] == words


def test_reports_of_a_program_show_no_command(session: Session) -> None:
    from tracereplay.reports import FORMATS  # noqa: PLC0415
    from tracereplay.reports.shared.style import Style  # noqa: PLC0415

    result = session.blame()
    assert "To reproduce" not in FORMATS["md"](result, Style())
    assert "<code>tracereplay </code>" not in FORMATS["html"](result, Style())


def test_digests_of_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHA-256 of a large input takes a while: it is made on demand."""
    data = (folder / "trace.dat").read_bytes()
    digest, sha256 = f"xxh3-128:{xxhash.xxh3_128(data).hexdigest()}", hashlib.sha256(data).hexdigest()

    def digests(**options: bool) -> tuple[str | None, str | None]:
        with tracereplay.open(folder / "trace.dat", **options) as opened:  # type: ignore[arg-type]
            (row,) = opened.inputs
            return row.digest, row.sha256

    assert digests() == (digest, sha256)
    monkeypatch.setattr(capabilities, "SHA256_BYTES", len(data) - 1)
    assert digests() == (digest, None)
    assert digests(sha256=True) == (digest, sha256)
