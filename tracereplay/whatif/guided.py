"""Runs of the guided replay: requests as recorded or as a policy changes them, results by event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.guided_kernels import CMA_ALLOWED, REQUESTED, Course, replay_guided
from tracereplay.whatif.page_rows import ORDERS, TYPES, Frame, MigrateType, Step
from tracereplay.whatif.script import Script
from tracereplay.whatif.seed import Seed, buddy_of

Bytes = npt.NDArray[np.uint8]
FALLBACK_TYPES = (MigrateType.UNMOVABLE, MigrateType.MOVABLE, MigrateType.RECLAIMABLE)


@dataclass(frozen=True, slots=True)
class Run:
    """One replay. out, below -- see `Course`; blocks -- as in `Recorded`; counts by `Count`; want -- the requests."""

    out: npt.NDArray[np.int32]
    below: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    want: Bytes


def stock_want(script: Script) -> Bytes:
    """What every event requests: its migratetype; movable requests may use CMA (gfp_to_alloc_flags_cma)."""
    events = script.events
    kind = events["type"].copy()
    kind[kind > MigrateType.RECLAIMABLE] = MigrateType.MOVABLE  # a take from a CMA list serves a movable request
    return np.where(kind == MigrateType.MOVABLE, kind | CMA_ALLOWED, kind).astype(np.uint8)


def first_users(script: Script) -> npt.NDArray[np.int32]:
    """For each TAKE and FALLBACK the ALLOC that first got (the head of) its page, -1 = drained or never used."""
    events = script.events
    users = np.full(len(events), -1, np.int32)
    rows = np.flatnonzero(np.isin(events["kind"], (Step.TAKE, Step.FALLBACK, Step.ALLOC, Step.DRAIN)))
    rows = rows[np.lexsort((rows, events["page"][rows]))]
    same = events["page"][rows[:-1]] == events["page"][rows[1:]]
    takes = np.isin(events["kind"][rows[:-1]], (Step.TAKE, Step.FALLBACK))
    used = events["kind"][rows[1:]] == Step.ALLOC
    hit = same & takes & used
    users[rows[:-1][hit]] = rows[1:][hit]
    return users


def run_guided(
    script: Script,
    seed: Seed,
    hidden: dict[int, int],
    rules: npt.NDArray[np.int64],
    want: Bytes,
    zone: npt.NDArray[np.int8] | None = None,
    rng: np.random.Generator | None = None,
) -> Run:
    """One replay under these rules and requests. want, zone -- see `Course`; rng -- see `buddy_of`."""
    buddy = buddy_of(seed, hidden, rules, rng)
    frames = np.arange(script.frames.count, dtype=np.int32)
    here = np.where(np.isin(buddy.pages["state"], (Frame.USED, Frame.PCP)), frames, -1).astype(np.int32)
    zone = np.full(len(want), -1, np.int8) if zone is None else zone
    # A page on a per-cpu list at the start is there for what its first user asks.
    placed_for = np.where(
        seed.first >= 0, stock_want(script)[np.maximum(seed.first, 0)] & REQUESTED, MigrateType.UNMOVABLE
    )
    placed_for = placed_for.astype(np.uint8)
    course = Course(
        here, here.copy(), placed_for, want, zone, np.full(len(want), -1, np.int32), np.zeros(len(want), np.int32)
    )
    rows = np.zeros((len(script.count_ns), len(buddy.lists)), np.int64)
    replay_guided(buddy, script.events, course, rows)
    return Run(course.out, course.below, rows.reshape(len(rows), -1, ORDERS, TYPES), buddy.counts, want)
