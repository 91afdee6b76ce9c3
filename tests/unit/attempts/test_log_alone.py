"""A kernel log alone: a page that it names without dumping it stands in the way, of nobody knows what."""

from __future__ import annotations

from pathlib import Path

from tracereplay.session import Session

LINES = """\
[  10.000001] migrating pfn 1083e9 failed ret:11
[  10.000002] page: refcount:3 mapcount:1 mapping:00000000aa index:0x7f pfn:0x1083e9
[  10.000003] anon flags: 0x17fffe0000000(uptodate|lru|swapbacked|node=0|zone=2)
[  10.000004] page dumped because: migration failure
[  10.000005] migrating pfn 1083ec failed ret:11
[  10.000006] failed to isolate pfn 1083ef
[  12.000006] soft offline: 0x55: page migration failed 1, type 1
"""


def test_pages_named_without_a_dump_are_listed_as_unknown(tmp_path: Path) -> None:
    (tmp_path / "dmesg").write_text(LINES)
    (attempt,) = Session(kernel_log=tmp_path / "dmesg").blame().attempts
    found = [(c.start_pfn, c.pages, c.cause, c.verdict, c.effect) for c in attempt.culprits]
    assert found == [
        (0x1083E9, 1, "extra_reference", "proved", "blocked"),
        (0x1083EC, 1, "unknown", "unknown", "blocked"),
        (0x1083EF, 1, "unknown", "unknown", "blocked"),
    ]
    texts = [c.evidence[0].text for c in attempt.culprits[1:]]
    assert texts == [
        "pfn 0x1083ec did not migrate; the log has no dump of it",
        "pfn 0x1083ef could not be isolated; the log has no dump of it",
    ]
    assert attempt.cause == "extra_reference"
