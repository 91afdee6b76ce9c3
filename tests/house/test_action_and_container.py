"""The GitHub Action and the container file parse, and name verbs and options that exist; the Action's steps run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (extra `dev`)")

import yaml

from tests.support.captures import ROOT, capture
from tracereplay.cli.main import cli

FIRST_LINE = re.compile(r"tracereplay ([a-z]+)((?: \S+)*)")


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


def steps(action: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in action["runs"]["steps"] if "run" in step}


def commands(text: str) -> list[list[str]]:
    """The arguments of every `tracereplay VERB ...` in a script or a comment."""
    return [shlex.split(match[0]) for match in FIRST_LINE.finditer(text)]


def test_every_input_is_used_and_every_output_is_set(action: dict[str, Any]) -> None:
    text = (ROOT / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(action["inputs"])
    for output in action["outputs"].values():
        (name,) = re.findall(r"steps\.blame\.outputs\.(\w+)", output["value"])
        assert f"{name}=" in steps(action)["Blame"]["run"]


def test_scripts_take_values_from_the_environment_only(action: dict[str, Any]) -> None:
    """`${{ }}` within a script would run what is in a name."""
    for step in steps(action).values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_verbs_and_options_exist(action: dict[str, Any]) -> None:
    texts = [step["run"] for step in steps(action).values()]
    texts.append(re.sub(r"podman \w+", "", (ROOT / "Containerfile").read_text()))
    found = [one for text in texts for one in commands(text) if one[1] in cli.commands]
    assert {one[1] for one in found} == {"blame", "report"}
    options = re.findall(r"\((--[\w-]+)", steps(action)["Blame"]["run"])  # options=(--layout ...)
    for arguments in [*found, ["tracereplay", "blame", *options]]:
        known = {
            name for one in cli.commands[arguments[1]].params if isinstance(one, click.Option) for name in one.opts
        }
        assert {word for word in arguments if word.startswith("--")} <= known


def run(step: dict[str, Any], folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    """A step as a runner runs it: bash with -e and pipefail, the values in its environment."""
    tool = folder / "bin" / "tracereplay"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tracereplay "$@"\n')
    tool.chmod(0o755)
    environment = dict.fromkeys(step["env"], "") | values | {
        "PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "RUNNER_TEMP": str(folder),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output"),
        "HOME": os.environ.get("HOME", str(folder)),
    }  # fmt: skip
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)


def test_the_steps_run(action: dict[str, Any], tmp_path: Path) -> None:
    trace = capture("offline_dimm_einval") / "trace.dat"
    done = run(steps(action)["Blame"], tmp_path, TRACE=str(trace), REDACT="true")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "summary.md").read_text().startswith("### ")
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert Path(outputs["report"]).read_text().startswith("{")
    assert "<html" in Path(outputs["page"]).read_text()[:200]
    assert run(steps(action)["Rules"], tmp_path, RULES="unexplained>99").returncode == 0
    assert run(steps(action)["Rules"], tmp_path, RULES="failed").returncode == 1


def test_the_container_file() -> None:
    """Every instruction is one, the extras exist, and the tool is what is run."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text())
    lines = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    assert {word for word, _ in lines} <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert ["ENTRYPOINT", '["tracereplay"]'] in lines
    project = (ROOT / "pyproject.toml").read_text()
    for extra in {word for extras in re.findall(r"\[([a-z,]+)\]'", text) for word in extras.split(",")}:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    assert "USER tracereplay" in text  # not root: traces come from elsewhere
    assert (ROOT / "constraints.txt").exists()
