"""Results of any kind, for properties of every report and table."""

from __future__ import annotations

from hypothesis import strategies as st

from tracereplay.model import result as model
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Result

INT64 = st.integers(-(2**63), 2**63 - 1)
PFN = st.integers(0, 2**40)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)

st.register_type_strategy(int, INT64)
st.register_type_strategy(str, TEXT)

TRY = st.integers(0, 3) | PFN  # often one that there is
MAP_RUNS = st.builds(model.MapRun, try_index=TRY, start_pfn=PFN, pages=PFN)
TRIES = st.builds(model.Try, index=TRY | INT64, map_try=st.none() | TRY)
CULPRITS = st.builds(
    model.Culprit,
    start_pfn=PFN,
    pages=st.integers(0, 2**30),
    cause=st.sampled_from(list(EXPLANATIONS)) | TEXT,
    candidates=st.lists(TEXT, max_size=2),
    blocked_tries=st.lists(st.tuples(INT64, INT64), max_size=2),
    weakened_by=st.lists(TEXT, max_size=2),
    capture_next=st.lists(TEXT, max_size=2),
    evidence=st.lists(st.builds(model.Evidence), max_size=2),
    allocated_by=st.none() | st.builds(model.Allocation),
    holder=st.none() | st.builds(model.Task),
    file=st.none() | st.builds(model.File, dev=st.none() | PFN, ino=st.none() | PFN),
)
ATTEMPTS = st.builds(
    model.Attempt,
    area=st.none() | TEXT,
    task=st.none() | st.builds(model.Task),
    request=st.builds(model.Request, pages=st.none() | PFN),
    tries=st.lists(TRIES, max_size=2),
    phases_ns=st.builds(model.Phases),
    waits=st.lists(st.builds(model.Wait), max_size=2),
    pages=st.none() | st.builds(model.PageCounts),
    map=st.lists(MAP_RUNS, max_size=2),
    culprits=st.lists(CULPRITS, max_size=4),
    capture_next=st.lists(TEXT, max_size=2),
)
BLOCKERS = st.builds(
    model.Blocker,
    cause=st.sampled_from(list(EXPLANATIONS)) | TEXT,
    holder=st.none() | st.builds(model.Task),
    file=st.none() | st.builds(model.File, dev=st.none() | PFN, ino=st.none() | PFN),
    blocked=st.lists(TEXT, max_size=2),
    delayed=st.lists(TEXT, max_size=2),
    delay_ns=INT64,
)
RESULTS = st.builds(
    Result,
    schema=st.just(model.SCHEMA),
    inputs=st.lists(st.builds(model.Input), max_size=2),
    data_loss=st.lists(st.builds(model.DataLoss), max_size=2),
    stacks=st.lists(st.builds(model.Stack), max_size=1),
    attempts=st.lists(ATTEMPTS, max_size=3),
    counters=st.lists(st.builds(model.Counter), max_size=1),
    blame=st.lists(st.builds(model.Blame), max_size=2),
    summary=st.lists(st.builds(model.Summary, blockers=st.lists(BLOCKERS, max_size=3)), max_size=2),
)
