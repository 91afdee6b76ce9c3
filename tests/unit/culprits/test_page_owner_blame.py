"""page_owner tells who allocated a page that is older than the trace."""

from __future__ import annotations

from tests.support.captures import capture
from tests.support.lossy import Hole, LossyReader
from tracereplay.model.result import Culprit, Result
from tracereplay.parsers.trace_dat.reader import TraceDatReader
from tracereplay.session import Session


def test_the_allocator_of_an_older_page_comes_from_page_owner() -> None:
    folder = capture("cma_bufferhead")
    dump = capture("cma_bufferhead") / "page_owner.txt.gz"
    reader = TraceDatReader(folder / "trace.dat")
    attempt_ns = 4_500_000_000  # the allocations of the blocking pages come before, the failing attempt after
    late = LossyReader(reader, [Hole(reader.info.start_ns or 0, attempt_ns, None)])
    alone = Session(reader=late, layout=folder / "layout_before").blame()
    helped = Session(reader=late, layout=folder / "layout_before", page_owner=dump).blame()
    named = [t.first_blocking_pfn for t in helped.attempts[0].tries][-1]

    assert named is not None

    def row(result: Result) -> Culprit:
        culprits = (c for attempt in result.attempts for c in attempt.culprits)
        return next(c for c in culprits if (c.start_pfn or 0) <= named < (c.start_pfn or 0) + c.pages)

    assert row(alone).allocated_by is None
    allocated = row(helped).allocated_by
    assert allocated is not None
    assert allocated.comm == "fs-meta"
    assert "GFP_NOFS" in (allocated.gfp or "")
