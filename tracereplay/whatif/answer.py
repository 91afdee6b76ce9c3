"""The document: self-check and fit of every trace, and every attempt under every policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tracereplay.model.result import Attempt, Counter
from tracereplay.model.whatif import (
    Answer,
    Cost,
    HiddenPages,
    Model,
    Outcome,
    Placement,
    PolicyRun,
    Rules,
    SeedPages,
    SelfCheck,
    Summary,
)
from tracereplay.whatif.fit import cma_frames, cma_share
from tracereplay.whatif.guided import Run
from tracereplay.whatif.judge import Court, Ruling
from tracereplay.whatif.migrations import Ending, Placed, own_allocations, placed_with_migrations, predicted_pages
from tracereplay.whatif.page_rows import Count
from tracereplay.whatif.question import RequestedPolicy
from tracereplay.whatif.ranges_held import RangesHeld, ranges_held
from tracereplay.whatif.recorded import free_counters, self_check
from tracereplay.whatif.replay import Replay
from tracereplay.whatif.scene import Scene

CERTAIN = 0.9  # of the runs that decide: below, and above 1 - CERTAIN, the runs disagree
THREADS = 2


@dataclass(slots=True)
class Part:
    """What one trace adds to the document."""

    rules: Rules | None
    check: SelfCheck | None
    model: Model
    counters: list[Counter]


def examine(replay: Replay) -> Part:
    """A trace without any policy: is the record consistent, does the model fit."""
    input_id = replay.facts.input_id
    verdict, why = replay.verdict
    if replay.missing:
        return Part(None, None, Model(input_id=input_id, engine="blockers", verdict=verdict, why=why), [])
    names = {row: zone.name for row, zone in enumerate(replay.machine.zones)}
    hidden = [
        HiddenPages(
            zone=names[row], value=one.pages, low=one.low, high=one.high, decisions=one.decisions,
            violated=one.violated, held_out_violated=one.held_out,
        )
        for row, one in replay.hidden.items()
    ]  # fmt: skip
    found = replay.rules
    return Part(
        Rules(name=found.name, basis=found.basis, cma_percent=found.cma_percent),
        SelfCheck(input_id=input_id, **self_check(replay.recorded)),
        Model(
            input_id=input_id, engine="guided", verdict=verdict, why=why, hidden_pages=hidden, fit=replay.fit,
            seed=SeedPages(from_events=replay.seed.from_events, from_counts=replay.seed.from_counts),
        ),
        free_counters(replay.recorded, replay.script, replay.machine, input_id),
    )  # fmt: skip


def policy_run(requested: RequestedPolicy, number: int, by_event: Sequence[Mapping[str, int]]) -> PolicyRun:
    """A policy as the document names it."""
    missing = [name for name in requested.needs if not any(counts.get(name) for counts in by_event)]
    policies = [policy for policy, _ in requested.parts]
    return PolicyRun(
        id=f"policy-{number}",
        name=requested.text,
        parameters=requested.parameters,
        sentence="; ".join(policy.sentence for policy in policies),
        discussed=[where for policy in policies for where in policy.discussed],
        state=policies[0].state,
        engine=requested.engine,
        needs=requested.needs,
        missing=missing,
    )


@dataclass(slots=True)
class PolicyAnswers:
    """One policy on one trace."""

    results: list[Outcome]
    placement: Placement | None


def answer_policy(replay: Replay, policy: PolicyRun, requested: RequestedPolicy, runs: int) -> PolicyAnswers:
    """Judge every attempt in every run of the ensemble; without placement one run says all."""
    scene = Scene(replay, requested)
    attempts = sorted((a for a in replay.facts.attempts if not a.inventory), key=lambda a: (a.start_ns, a.id))
    verdict, _ = replay.verdict
    needs_run = scene.places
    modelled = verdict != "unfit"
    if policy.missing or (scene.places and not modelled):
        reason = "events_not_recorded" if policy.missing else "model_unfit"
        results = [_unknown(attempt, policy.id, reason) for attempt in attempts]
        return PolicyAnswers(results, _placement(replay, scene, policy, None))
    runs_made: list[Run] = []
    if _share_changes(scene) and modelled:
        with ThreadPoolExecutor(THREADS) as pool:  # kernels run without the GIL
            runs_made = list(pool.map(scene.run, range(runs)))
    judged = [_judge_all(scene, run, attempts, number) for number, run in enumerate(runs_made if needs_run else [None])]
    results = []
    for at, attempt in enumerate(attempts):
        results.append(_outcome(policy.id, attempt, [rulings[at] for rulings, _ in judged], scene))
    if not needs_run:
        judged = [(judged[0][0], run) for run in runs_made]
    placed = _placed(replay, attempts, judged)
    if verdict == "good":
        _add_pages_moved(results, placed)
    if needs_run and verdict == "good":
        _add_costs(replay, results, placed, [run for _, run in judged if run is not None])
    return PolicyAnswers(results, _placement(replay, scene, policy, [one.share for one in placed]))


Judged = tuple[list[Ruling], Run | None]


def _placed(replay: Replay, attempts: Sequence[Attempt], judged: Sequence[Judged]) -> list[Placed]:
    """Movable allocations in CMA under each run, what the attempts themselves allocate included."""
    inside = cma_frames(replay.script, replay.machine)
    if not inside.any():
        return []
    own = own_allocations(replay.script, attempts)
    found = []
    for number, (rulings, run) in enumerate(judged):
        if run is not None:
            endings = [_ending(attempt, ruling) for attempt, ruling in zip(attempts, rulings, strict=True)]
            predicted = predicted_pages(own, attempts, endings, replay.base(number), run)
            found.append(placed_with_migrations(replay.script, inside, run, own, predicted))
    return found


def _ending(attempt: Attempt, ruling: Ruling) -> Ending:
    """As ruled; as recorded where that cannot be said."""
    ok = attempt.outcome == "succeeded" if ruling.ok is None else ruling.ok
    return Ending(ok, ruling.tries or 1, ruling.stuck)


def _share_changes(scene: Scene) -> bool:
    """Whether pages are placed otherwise at all; else the record is the answer."""
    return scene.places or scene.wanted.any


def _judge_all(scene: Scene, run: Run | None, attempts: Sequence[Attempt], number: int) -> Judged:
    """All attempts in order; where one newly fails, once more without the range it had. With the last run."""
    held = ranges_held(attempts, scene.replay.script)
    court = Court(scene, run, held, number)
    rulings = [court.judge(attempt) for attempt in attempts]
    if run is None or not held.failing:
        return rulings, run
    failing = frozenset(held.failing)
    run = scene.run(number, failing)
    again = Court(scene, run, RangesHeld(held.ranges, failing=set(failing)), number)
    return [again.judge(attempt) for attempt in attempts], run


def _outcome(policy_id: str, attempt: Attempt, rulings: Sequence[Ruling], scene: Scene) -> Outcome:
    """One answer from all runs: what nine of ten decide alike, else unknown."""
    decided = [ruling for ruling in rulings if ruling.ok is not None]
    succeeding = [ruling for ruling in decided if ruling.ok]
    share = len(succeeding) / len(rulings)
    why = None
    answer: Answer
    chosen = rulings[0]
    if len(decided) < CERTAIN * len(rulings):
        answer, chosen = "unknown", next(ruling for ruling in rulings if ruling.ok is None)
        why = chosen.why
    elif share >= CERTAIN:
        answer, chosen = "succeeds", succeeding[0]
    elif share <= 1 - CERTAIN:
        chosen = next(ruling for ruling in decided if not ruling.ok)
        answer, why = ("newly_fails" if attempt.outcome == "succeeded" else "still_fails"), chosen.why
    else:
        answer, why = "unknown", "runs_disagree"
    cost = Cost()
    if chosen.at_ns is not None and answer == "succeeds" and attempt.end_ns is not None:
        cost.wait_ns = chosen.at_ns - attempt.end_ns
    elif answer == "succeeds" and (saved_ns := scene.waits_saved_ns(attempt)):
        cost.wait_ns = -saved_ns
    if scene.wanted.any:
        cost.unmovable_pages_added = None if scene.has_stuck else scene.costs_unmovable()
    if (need := scene.pool_need) is not None:
        cost.direct_map_splits = need.splits - need.splits_recorded
        cost.pages_refused, cost.blocks_not_free = need.refused_pages, need.fallback_blocks
    if scene.guaranteed is not None:
        cost.pages_displaced = scene.guaranteed.displaced_pages
        if attempt.operation == "cma_alloc" and answer == "succeeds":
            cost.longest_ns = scene.guaranteed.longest_ns(attempt.request.pages)
    return Outcome(
        attempt_id=attempt.id,
        policy_id=policy_id,
        recorded=attempt.outcome,
        answer=answer,
        bound="upper" if chosen.upper and answer == "succeeds" else "estimate",
        runs=len(rulings),
        runs_succeeding=len(succeeding),
        at_ns=chosen.at_ns if answer == "succeeds" else None,
        tries=chosen.tries,
        blocked_by=chosen.blocked_by if answer != "succeeds" else [],
        why=why,
        cost=cost,
    )


def _unknown(attempt: Attempt, policy_id: str, why: str) -> Outcome:
    return Outcome(
        attempt_id=attempt.id, policy_id=policy_id, recorded=attempt.outcome, answer="unknown", bound="estimate",
        runs=0, runs_succeeding=0, why=why,
    )  # fmt: skip


def _placement(replay: Replay, scene: Scene, policy: PolicyRun, shares: Sequence[float] | None) -> Placement | None:
    """Share of movable allocations in CMA: recorded, and over the runs; shares None -- cannot be said."""
    if "mm_page_alloc" in replay.missing or not replay.machine.cma_areas:
        return None
    inside = cma_frames(replay.script, replay.machine)
    record = cma_share(replay.script, inside, replay.script.events["page"], replay.requests.want)
    change = scene.change
    other_area = (
        change.guaranteed
        or change.area_pages is not None
        or change.movable_pages is not None
        or change.not_modelled is not None
    )
    if shares is not None and not shares and not _share_changes(scene) and not other_area:
        shares = [record]
    return Placement(
        policy_id=policy.id, input_id=replay.facts.input_id, scope="all areas", measure="cma_share",
        record=round(record, 4), predicted=round(float(np.median(shares)), 4) if shares else None,
        low=round(min(shares), 4) if shares else None, high=round(max(shares), 4) if shares else None,
    )  # fmt: skip


def _add_costs(replay: Replay, results: Sequence[Outcome], placed: Sequence[Placed], runs: Sequence[Run]) -> None:
    """Costs of the whole trace under a policy, on each of its results: medians over the runs, beyond the base's."""
    base = replay.base()
    kept_out = None
    if placed:
        inside = cma_frames(replay.script, replay.machine)
        events = replay.script.events
        movable = replay.requests.movable()
        recorded = int(events["pages"][movable & inside[np.maximum(events["page"], 0)]].sum())
        kept_out = recorded - round(float(np.median([one.in_cma for one in placed])))
    for result in results:
        result.cost.allocations_failed = _median(runs, base, Count.NO_PAGE)
        result.cost.pages_kept_out_of_cma = kept_out


def _add_pages_moved(results: Sequence[Outcome], placed: Sequence[Placed]) -> None:
    """What the attempts that a policy saves have to move; of the others only the record is known."""
    for at, result in enumerate(results):
        if result.recorded != "succeeded" and result.answer == "succeeds" and placed:
            result.cost.pages_moved = round(float(np.median([one.by_attempts[at] for one in placed])))


def _median(runs: Sequence[Run], base: Run, count: Count) -> int:
    return max(round(float(np.median([run.counts[count] for run in runs]))) - int(base.counts[count]), 0)


def summarise(policy: PolicyRun, results: Sequence[Outcome]) -> Summary:
    """One policy over all attempts."""
    mine = [result for result in results if result.policy_id == policy.id]
    failed = [result for result in mine if result.recorded != "succeeded"]
    saved = [result for result in failed if result.answer == "succeeds"]
    waits = [one.cost.wait_ns for one in mine if one.cost.wait_ns is not None]
    worst = Cost(
        **{
            name: max((value for one in mine if (value := getattr(one.cost, name)) is not None), default=None)
            for name in Cost.__struct_fields__
        }
    )
    if waits and max(waits) < 0:
        worst.wait_ns = sum(waits)  # all that is saved; of what comes on top the most is given
    return Summary(
        policy_id=policy.id,
        failed=len(failed),
        saved=len(saved),
        saved_upper=sum(result.bound == "upper" for result in saved),
        still_fails=sum(result.answer == "still_fails" for result in failed),
        unknown=sum(result.answer == "unknown" for result in mine),
        newly_fails=sum(result.answer == "newly_fails" for result in mine),
        cost=worst,
    )


def ranked(summaries: Sequence[Summary]) -> list[Summary]:
    """Most saved first, then fewest newly failing."""
    return sorted(summaries, key=lambda one: (one.newly_fails - one.saved, one.newly_fails, one.unknown, one.policy_id))
