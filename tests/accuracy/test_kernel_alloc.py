"""Kernel allocations in need, on a machine with ZONE_MOVABLE and on the same without."""

from __future__ import annotations

import json

import tracereplay
from tests.support.captures import capture, trace_of


def test_each_oom_kill_for_the_kernel_is_an_attempt_and_the_machine_without_the_zone_has_none() -> None:
    folder = capture("ab_kalloc__movablecore")
    attempts = tracereplay.open(trace_of(folder), layout=folder / "layout_before").blame().attempts
    kills = [one for one in attempts if one.operation == "kernel_alloc" and one.errno is None]
    victims = json.loads((folder / "capture_meta.json").read_text())["policy"]["outcome"]["mark_victim"]
    assert len(kills) == len(victims) == 3
    assert {one.cause for one in attempts if one.operation == "kernel_alloc"} == {"movable_only_free"}
    assert all((one.movable_free_pages or 0) > 90_000 for one in kills)

    folder = capture("ab_kalloc__nomovable")
    attempts = tracereplay.open(trace_of(folder), layout=folder / "layout_before").blame().attempts
    assert not [one for one in attempts if one.operation == "kernel_alloc"]
