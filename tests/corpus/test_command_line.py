"""`tracereplay corpus`: the verbs from end to end, their exit statuses, and reports that hostile names cannot break."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.corpus.conftest import QUICK, Put
from tests.corpus.made import Trace, blames, fine, made
from tests.corpus.runs import order_for, rows
from tracereplay.cli.corpus.run import parse_bytes
from tracereplay.cli.main import main
from tracereplay.corpus.batches import write_rows
from tracereplay.corpus.store import Store
from tracereplay.corpus.tables import FOUND, TABLES, found_tables
from tracereplay.errors import UsageError
from tracereplay.reports.shared.sections import Spark

HOSTILE = "<script>alert(1)</script>|[x](y)\x1b[31m"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Forty traces of two builds, a holder with a hostile name, a broken trace."""
    traces = [
        Trace(f"/farm/{n}.dat", blames(HOSTILE if n % 2 else "netd") if n > 20 or (n < 20 and n % 5 == 0) else fine(),
              {"build": str(n // 20), "device": "a|b"})
        for n in range(40)
    ]  # fmt: skip
    made(tmp_path / "store", [*traces, Trace("/farm/broken.dat", ("timed_out", "not done"), {"build": "1"})])
    return str(tmp_path / "store")


def test_run_report_gate_sql(put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(QUICK[0], "7/a.dat")
    put(QUICK[3], "8/b.dat")
    (tmp_path / "traces" / "8" / "broken.dat").touch()
    place = str(tmp_path / "store")
    command = ["corpus", "run", str(tmp_path / "traces"), "-o", place, "-j", "1", "--path-pattern", "{build}/*.dat",
               "--keep-events"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 traces found, 0 unchanged" in said
    assert "1 broken trace: 1 cannot be read" in said
    assert "broken.dat" in said
    assert main(command) == 0
    assert "3 unchanged" in capsys.readouterr().out

    assert {row["build"] for row in rows(Store(place))} == {"7", "8"}
    (event_set, _) = sorted(Path(place, "events").iterdir())
    assert main(["info", "-q", str(event_set)]) == 0  # the events are a dataset that every verb reads
    capsys.readouterr()

    assert main(["corpus", "report", place, "--format", "json", "--by", "build"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "tracereplay.corpus-report/1"
    assert {group["value"] for group in document["groups"]} == {"7", "8"}
    assert main(["corpus", "gate", place, "--fail-on", "failed>1000,broken"]) == 1
    out, err = capsys.readouterr()
    assert "1 rule of 2 matched" in out
    assert err == "tracereplay: --fail-on broken: 1 of 3 traces (33.3 %)\n"
    assert main(["corpus", "gate", place, "--fail-on", "broken>1"]) == 0
    capsys.readouterr()
    assert main(["corpus", "sql", place, "SELECT build, status FROM runs ORDER BY path", "--format", "json"]) == 0
    assert [tuple(row.values()) for row in json.loads(capsys.readouterr().out)] == [
        ("7", "analysed"), ("8", "analysed"), ("8", "unreadable"),
    ]  # fmt: skip


def test_nothing_that_can_be_read_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.dat").write_text("no trace")
    assert main(["corpus", "run", str(tmp_path / "a.dat"), "-o", str(tmp_path / "s"), "-q", "-j", "1"]) == 2
    out, err = capsys.readouterr()
    assert "cannot be read" in out
    assert err.count("\n") == 1
    (tmp_path / "empty").mkdir()
    assert main(["corpus", "run", str(tmp_path / "empty"), "-o", str(tmp_path / "s"), "-q"]) == 2
    assert "no trace in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x", "-o", "{}", "--memory-limit", "lots"],
        ["run", "x", "-o", "{}", "--path-pattern", "*"],
        ["run", "x", "-o", "{}", "-j", "2", "--dask", "tcp://x:1"],
        ["run", "nosuch://x", "-o", "{}"],
        ["report", "{}/none"],
        ["report", "{}", "--by", "colour"],
        ["report", "{}", "--plot", "x.gif"],
        ["report", "{}", "--where", "build"],
        ["diff", "{}", "{}", "--where-b", "build=9"],
        ["gate", "{}", "--fail-on", "nope"],
        ["gate", "{}", "--fail-on", "new"],
        ["sql", "{}", "SELECT nothing"],
    ],
)
def test_bad_usage_is_one_line(store: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", *(word.replace("{}", store) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tracereplay: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/*')",
        "COPY runs TO 'x.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW runs",
        "SELECT 1; SELECT 2",
        "DELETE FROM runs",
    ],
)
def test_sql_reads_the_store_and_nothing_else(store: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "sql", store, text]) == 2
    assert capsys.readouterr().out == ""


def test_sql_joins_every_table(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    joins = " ".join(f"JOIN {name} USING (key)" for name in TABLES if name in ("attempts", "tries"))
    assert main(["corpus", "sql", store, f"SELECT count(*) AS n FROM runs {joins}", "--format", "csv"]) == 0
    assert capsys.readouterr().out == '"n"\n391\n'  # 23 traces with a failed attempt of 17 tries
    assert main(["corpus", "sql", store, "SELECT path, path, 1 AS one FROM runs LIMIT 2", "--format", "json"]) == 0
    assert set(json.loads(capsys.readouterr().out)[0]) == {"path_0", "path_1", "one"}
    assert main(["corpus", "sql", store, "SELECT holder.comm FROM culprits WHERE holder.comm LIKE '<%' LIMIT 1"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_sql_sees_what_is_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run commits what was found first and its rows of `runs` last: between the two nothing of it shows."""
    place = tmp_path / "store"
    store = made(place, [Trace("/farm/a.dat", blames("netd"))])
    rows_of_b = [write_rows(order_for(store), name, [table]) for name, table in found_tables("b", blames("x")).items()]
    store.commit(rows_of_b, [], ())
    assert {row["key"] for row in rows(store, "attempts")} == {"/farm/a.dat", "b"}
    for name in FOUND:
        assert main(["corpus", "sql", str(place), f"SELECT DISTINCT key FROM {name}", "--format", "json"]) == 0
        assert {row["key"] for row in json.loads(capsys.readouterr().out)} <= {"/farm/a.dat"}
    store.table("runs").delete()
    assert main(["corpus", "sql", str(place), "SELECT count(*) AS n FROM culprits", "--format", "csv"]) == 0
    assert capsys.readouterr().out == '"n"\n0\n'


class _Page(HTMLParser):
    """What a browser would make of a page: its tags, its policy, its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.policy = ""
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values.get("content") or ""
        self.links += [str(values[name]) for name in ("src", "href") if name in values]


@pytest.mark.parametrize("verb", ["report", "diff", "gate"])
def test_pages_load_nothing_and_run_nothing(store: str, verb: str, tmp_path: Path) -> None:
    rest = {
        "report": [store, "--by", "device"],
        "diff": [store, store, "--where-a", "build=0", "--where-b", "build=1"],
        "gate": [store, "--fail-on", "holder=*script*,broken"],
    }[verb]
    target = tmp_path / "page.html"
    assert main(["corpus", verb, *rest, "--format", "html", "-o", str(target)]) in (0, 1)
    text = target.read_text()
    page = _Page(text)
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in page.policy
    assert "script" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert "\x1b" not in text
    if verb != "gate":
        assert "&lt;script&gt;" in text
    if verb == "report":
        assert "svg" in page.tags  # the trend is drawn


@pytest.mark.parametrize("verb", ["report", "diff", "gate"])
@pytest.mark.parametrize("format_", ["text", "md"])
def test_hostile_names_stay_names(store: str, verb: str, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    rest = [store, "--where-a", "build=0", "--where-b", "build=1", "--full"] if verb == "diff" else []
    rest += ["--fail-on", "broken"] if verb == "gate" else []
    main(["corpus", verb, store, *rest, "--format", format_])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    if format_ == "md":
        assert "<script" not in out.replace("\\<", "")
        rows_of = [line for line in out.splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows_of}
        assert all(width > 2 for width in widths)


def test_the_planted_difference_is_told(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """19 of 20 traces of build 1 fail, 4 of 20 of build 0."""
    assert main(["corpus", "diff", store, store, "--where-a", "build=0", "--where-b", "build=1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"more\s+a failed attempt\s+4: 20 % \(8-42\)\s+19: 95 % \(76-99\)", out)
    assert main(["corpus", "report", store, "--over", "build"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"a failed attempt\s+1\s+20\.0 %\s+95\.0 %", out)


def test_junit_of_a_gate(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "gate", store, "--fail-on", "broken,failed>99%", "--format", "junit"]) == 1
    suite = ET.fromstring(capsys.readouterr().out)[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed, passed = suite
    assert failed.find("failure") is not None
    assert "/farm/broken.dat" in (failed[0].text or "")
    assert passed.find("failure") is None


def test_a_picture(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    for name in ("a.svg", "b.svg", "c.png"):
        assert main(["corpus", "report", store, "--plot", str(tmp_path / name), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    first, second, png = ((tmp_path / name).read_bytes() for name in ("a.svg", "b.svg", "c.png"))
    assert first == second
    assert ET.fromstring(first).tag.endswith("svg")
    assert png.startswith(b"\x89PNG")


def test_sizes() -> None:
    assert [parse_bytes(text) for text in ("4G", "512MiB", "1kb", "77")] == [4 << 30, 512 << 20, 1024, 77]
    for wrong in ("", "G", "-1", "0", "1.5G", "4X"):
        with pytest.raises(UsageError):
            parse_bytes(wrong)


def test_sparks() -> None:
    assert str(Spark([0.0, 0.5, 1.0, None])) == "▁▅█ "
    assert str(Spark([])) == ""
    assert Spark([1.0, 3.0, None, 5.0]).cells(2) == [2.0, 5.0]
