"""What losses cost the judgement of suspects: which of many losses weaken which of many pages.

    python -m benchmarks.loss_lookups [--losses 4000] [--suspects 900]

Half of the losses last to the end of the trace, as those after a CPU's last event do; each page is judged over an
interval of its own. Beside it the time of a walk over all losses for each page, whose answers must be the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.culprits.context import AnalysisContext
from tracereplay.culprits.logged import unreplayed
from tracereplay.culprits.suspect import Suspect
from tracereplay.layout.layout import Layout
from tracereplay.losses import Loss

STEP_NS = 1000
EVENTS = ("page_ref_mod",)


def main() -> int:
    """Print the figures; status 1 where the answers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=4000)
    parser.add_argument("--suspects", type=int, default=900)
    args = parser.parse_args()
    losses = [
        (f"loss-{n}", Loss("lost_events", 1, n % 8, n * STEP_NS, None if n % 2 else (n + 3) * STEP_NS))
        for n in range(args.losses)
    ]
    began = time.process_time()
    run = AnalysisContext(Layout("inferred"), lambda _tid: None, True, {}, losses, {}, {}, args.losses * STEP_NS)
    suspects = _suspects(run, args.suspects)
    found = _timed("index", began, lambda: [list(one.hiding(one.draft.start_ns, EVENTS)) for one in suspects])
    walked = _timed("walk", time.process_time(), lambda: [_walk(losses, one) for one in suspects])
    return int(found != walked)


def _suspects(context: AnalysisContext, count: int) -> list[Suspect]:
    draft = DetectedAttempt("cma_alloc", 1, context.end_ns // 4, context.end_ns, "failed", "event")
    step = context.end_ns // (2 * count)
    return [unreplayed(context, draft, pfn, 0, draft.start_ns + pfn * step) for pfn in range(count)]


def _walk(losses: list[tuple[str, Loss]], suspect: Suspect) -> list[str]:
    start, end = suspect.draft.start_ns, suspect.last_ns
    return [name for name, loss in losses if loss.may_hide(EVENTS) and loss.touches(start, end)]


def _timed(what: str, began: float, ask: Callable[[], list[list[str]]]) -> list[list[str]]:
    answers = ask()
    print(f"{what}: {time.process_time() - began:.3f} CPU s, {sum(map(len, answers)):,} ids")
    return answers


if __name__ == "__main__":
    raise SystemExit(main())
