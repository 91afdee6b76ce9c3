"""`whatif` beside what kernels did: self-check and fit of captures, predictions beside kernels under changed rules.

    python -m benchmarks.whatif [CAPTURES] [--runs 25]

CAPTURES (default ../shared/captures) has one folder a capture and ab_pairs.json. Writes benchmarks/whatif.md. The
changed kernel's trace is never read here, only what its boot is known to have come to (capture_meta.json, truth.json).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tracereplay
from tests.support.captures import ROOT, SHARED
from tracereplay.model.whatif import Model, Outcome, SelfCheck, WhatIf
from tracereplay.session import Session
from tracereplay.whatif.question import parse_policy

OPERATIONS: tuple[str, ...] = ("cma_alloc", "memory_offline", "longterm_pin")
TARGET = Path(__file__).with_suffix(".md")
# The same boots the other way round, and from a second boot.
FURTHER = (
    {"base": "ab_churn__never", "changed": "ab_churn__base", "policy": "cma-ratio:percent=50"},
    {"base": "ab_churn__never", "changed": "ab_churn__base_rerun", "policy": "cma-ratio:percent=50"},
    {"base": "ab_churn__base_rerun", "changed": "ab_churn__never", "policy": "cma-ratio:never"},
    {"base": "ab_churn__base_rerun", "changed": "ab_churn__base", "policy": "none"},
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What a boot came to: outcomes by operation in the order of time, share of movable allocations in CMA.

    in_cma_pages -- of these allocations; kills -- of the OOM killer.
    """

    outcomes: dict[str, list[bool]]
    share: float | None
    in_cma_pages: int | None
    kills: int


def boot_of(folder: Path) -> Boot:
    """From the capture's own record, never from its trace."""
    outcome = json.loads((folder / "capture_meta.json").read_text())["policy"]["outcome"]
    truth = json.loads((folder / "truth.json").read_text())
    pins = [pin["ret"] == 0 for pin in truth.get("longterm_pins") or []]
    ranges = [[bool(op["ok"]) for op in outcome[key]] for key in ("cma_allocs", "offlines")]
    placed = outcome["movable_from_trace"]
    outcomes: dict[str, list[bool]] = dict(zip(OPERATIONS, (*ranges, pins), strict=True))
    return Boot(outcomes, placed.get("share_cma"), placed.get("in_cma"), len(outcome["mark_victim"]))


def session_of(folder: Path) -> Session:
    """The capture as a user has it."""
    trace = next(path for name in ("trace.dat", "perf.data") if (path := folder / name).exists())
    layout, log = folder / "layout_before", folder / "dmesg.txt"
    return tracereplay.open(trace, layout=layout if layout.is_dir() else None, kernel_log=log if log.exists() else None)


def captures_table(folders: Sequence[Path]) -> Iterator[str]:
    """Self-check and base fit of each capture."""
    columns = (
        "capture", "taken", "not free", "drained free", "left unseen", "freed past the lists", "in ranges",
        "not free there", "fit", "why", "CMA share", "model", "free by order",
    )  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "|---|" + "---:|" * 7 + "---|---|---:|---:|---:|"
    for folder in folders:
        document = session_of(folder).whatif()
        checks: list[SelfCheck | None] = [*document.self_check] or [None]
        for check, model in zip(checks, document.model, strict=False):
            yield f"| {folder.name} | {_checked(check)} | {_fitted(model)} |"


def _checked(check: SelfCheck | None) -> str:
    names = ("taken", "taken_not_free", "drained_free", "left_unseen", "freed_directly", "ranges", "ranges_not_free")
    return " | ".join("-" if check is None else f"{getattr(check, name):,}" for name in names)


def _fitted(model: Model) -> str:
    share = next((fit for fit in model.fit if fit.measure == "cma_share"), None)
    order = next((fit for fit in model.fit if fit.measure == "free_by_order"), None)
    shares = f"{share.record:.3f} | {share.model:.3f}" if share is not None else "- | -"
    return f"{model.verdict} | {model.why or ''} | {shares} | {f'{order.error:.1%}' if order is not None else '-'}"


def pairs_table(root: Path, pairs: Sequence[Mapping[str, str]], runs: int) -> Iterator[str]:
    """Every pair: outcomes and share, predicted from the base boot and measured in the other."""
    columns = (
        "base", "policy", "right", "wrong", "unknown", "repeating the record", "share recorded", "predicted",
        "measured", "kept out of CMA, pages", "measured", "note",
    )  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|" + "---:|" * 9 + "---|"
    total = {"right": 0, "wrong": 0, "unknown": 0, "same": 0}
    for pair in pairs:
        session = session_of(root / pair["base"])
        document = session.whatif([parse_policy(pair["policy"])], runs=runs)
        was, became = boot_of(root / pair["base"]), boot_of(root / pair["changed"])
        scored = score(document, session.blame().attempts, was, became)
        for key in total:
            total[key] += scored[key]
        numbers = " | ".join(str(scored[key]) for key in total)
        shares = " | ".join("-" if value is None else f"{value:.3f}" for value in _shares(document, was, became))
        row = f"| {pair['base']} | `{pair['policy']}` | {numbers} | {shares} | {_kept_out(document, was, became)} |"
        yield f"{row} {_note(document, was, became)} |"
    yield f"| all | | {' | '.join(str(value) for value in total.values())} | | | | | | |"


def score(document: WhatIf, attempts: Sequence[Any], was: Boot, became: Boot) -> dict[str, int]:
    """Outcomes of the attempts both boots made, in order of their time."""
    answers = {result.attempt_id: result for result in document.results}
    found = {"right": 0, "wrong": 0, "unknown": 0, "same": 0}
    for operation in OPERATIONS:
        mine = [one for one in sorted(attempts, key=lambda one: one.start_ns) if one.operation == operation]
        for attempt, before, ok in zip(mine, was.outcomes[operation], became.outcomes[operation], strict=False):
            said: Outcome = answers[attempt.id]
            found["same"] += before == ok
            kind = "unknown" if said.answer == "unknown" else "right" if (said.answer == "succeeds") == ok else "wrong"
            found[kind] += 1
    return found


def _shares(document: WhatIf, was: Boot, became: Boot) -> tuple[float | None, float | None, float | None]:
    predicted = document.placement[0].predicted if document.placement else None
    return was.share, predicted, became.share


def _kept_out(document: WhatIf, was: Boot, became: Boot) -> str:
    """Movable pages kept out of CMA: what the answer says, and what the two boots differ by."""
    said = max((one.cost.pages_kept_out_of_cma or 0 for one in document.results), key=abs, default=0)
    known = any(one.cost.pages_kept_out_of_cma is not None for one in document.results)
    measured = None
    if was.in_cma_pages is not None and became.in_cma_pages is not None:
        measured = was.in_cma_pages - became.in_cma_pages
    return f"{said:,}" * known + "-" * (not known) + " | " + ("-" if measured is None else f"{measured:,}")


def _note(document: WhatIf, was: Boot, became: Boot) -> str:
    reasons = sorted({result.why for result in document.results if result.answer == "unknown" and result.why})
    notes = [f"unknown: {', '.join(reasons)}"] if reasons else []
    kills = f"OOM kills {was.kills} -> {became.kills}"
    notes += [f"{size.pages:,} pages: {size.verdict}; {kills}" for size in document.sizing]
    predicted = document.placement[0].predicted if document.placement else None
    if predicted is not None and became.share is not None and abs(predicted - became.share) > 0.05:
        notes.append(f"share off by {abs(predicted - became.share) * 100:.1f} points")
    return "; ".join(notes)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", default=SHARED / "captures")
    parser.add_argument("--runs", type=int, default=25)
    options = parser.parse_args()
    folders = sorted(path.parent for path in options.captures.glob("*/capture_meta.json"))
    pairs = json.loads((options.captures / "ab_pairs.json").read_text())
    lines = [
        "# `whatif` beside what kernels did", "",
        "<!-- Written by `python -m benchmarks.whatif`; the words are those of benchmarks/whatif_words.md. -->", "",
        *(ROOT / "benchmarks" / "whatif_words.md").read_text(encoding="utf-8").splitlines(), "",
        "## Kernels that were booted under the changed rule", "",
        *pairs_table(options.captures, pairs, options.runs), "",
        "## The same boots the other way round", "",
        *pairs_table(options.captures, FURTHER, options.runs), "",
        "## Self-check and base fit of every capture", "", *captures_table(folders),
    ]  # fmt: skip
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
