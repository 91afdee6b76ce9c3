"""`python -m tests.golden.accept [NAME...]`: keep what these cases say now (no NAME: all); then read the diff."""

from __future__ import annotations

import sys

import pytest

from tests.golden.case import cases


def main(names: list[str]) -> None:
    """Rewrite the transcripts that differ."""
    known = {case.name: case for case in cases()}
    unknown = set(names) - known.keys()
    if unknown:
        sys.exit(f"no golden case {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    for case in (known[name] for name in names or known):
        try:
            said = case.run()
        except pytest.skip.Exception as missing:
            print(f"skipped {case.name}: {missing}")
            continue
        if said != case.expected:
            case.expected_path.write_text(said, encoding="utf-8")
            print(f"accepted {case.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
