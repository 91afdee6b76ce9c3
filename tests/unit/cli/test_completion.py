"""What shells complete, and the manual page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.captures import ROOT
from tracereplay.cli.completion import SHELLS, VARIABLE
from tracereplay.cli.main import cli, main


def completed(words: str) -> list[str]:
    """What bash would offer for the last word."""
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "tracereplay"], env={**os.environ, **asked, "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return [line.split(",", 1)[1] for line in done.stdout.splitlines()]


def test_verbs_options_and_choices_are_completed() -> None:
    assert {"blame", "plot", "page"} <= set(completed("tracereplay "))
    assert "--kernel-log" in completed("tracereplay blame --k")
    assert completed("tracereplay explain ebu") == ["EBUSY"]
    assert {"mail", "github"} <= set(completed("tracereplay blame --format "))


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_printed_and_are_of_that_shell(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{VARIABLE}={shell}_complete" in script
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(script)
        subprocess.run([shell, "-n", path], check=True)


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_manual_names_every_verb_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man"]) == 0
    page = capsys.readouterr().out
    assert page.startswith(".TH TRACEREPLAY 1")
    for name, verb in cli.commands.items():
        assert f".SS {name}" in page
        for parameter in verb.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option.replace("-", r"\-") in page
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".TP", ".B"}
    assert "TRACEREPLAY_CACHE" in page
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True, check=True)
        assert done.stderr == ""
