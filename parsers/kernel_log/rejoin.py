"""Lines as they were printed, of lines as people paste them: wrapped, encoded, with stamps cut in two.

    > > [   70.166292] cma: cma_alloc: alloc failed, req-size: 4050 pages,
    > > ret: -12
    framerate=(fraction)30000/1001, fra[
    421.504399] alloc_contig_range: [9c480, 9c4a6) PFNs busy

Only a message that is not whole is continued, and only by lines without a prefix of their own that make it whole.
"""

from __future__ import annotations

import html
import quopri
import re
from collections import deque
from collections.abc import Iterable, Iterator

from tracereplay.parsers.kernel_log import page_dump
from tracereplay.parsers.kernel_log.grammar import messages_in
from tracereplay.parsers.kernel_log.prefixes import LogLine, split_prefix
from tracereplay.parsers.kernel_log.scan import RawLine

# How many lines a wrapped message may take.
MOST_CONTINUATIONS = 3
# And a list of free runs.
MOST_LIST_LINES = 400
LIST_OPEN = re.compile(r"available pages:[ 0-9@+]*$")
LIST_WORDS = frozenset({"=>", "=", ">", "free", "of", "total", "pages"})
LIST_END = "total pages"
# Quoted-printable lines have at most 76 columns; a soft line end stands near there.
SOFT_BREAK_COLUMNS = 60
QUOTED = re.compile(r"=(?:3D|20|09)")
ENTITY = re.compile(r"&(?:gt|lt|amp|quot|#\d{1,3}|nbsp);")
# `421.504399] text`: the bracket, and maybe digits, ended the line before.
STAMP_END = re.compile(r"[>|\s]*(\d{0,9}(?:\.\d{0,9})?)\](?=[\s\[])")
STAMP_BEGIN = re.compile(r"\[ *(\d{0,9}(?:\.\d{0,9})?)$")
# Where a line of a file holds several of the log: HTML, and what pasting made of line ends.
LOST_LINE_END = re.compile(r"<br ?/?>|(?<=[^\s>|]) (?=\[ {0,4}\d{1,6}\.\d{6}\] )")
DUMP_IN_ONE_LINE = ("page:", " mapcount:", "page dumped because: ")
DUMP_PART = re.compile(
    r" (?=(?:anon |ksm )?flags: ?0x|raw: |head: ?order|aops:|memcg:|page_type: |page dumped because: "
    r"|page_owner tracks|page last (?:allocated|free))"
)
WHOLE_STAMP = re.compile(r"\d{1,9}\.\d{3,9}")
# Beginnings of messages that may be cut, and what tells that one is.
OPENINGS = re.compile(
    r"cma_alloc|alloc failed|alloc_contig|PFNs$|available pages|memory offlining|migrating|failed to isolate"
    r"|removing pfn|Offlined|soft offline|\bpage:|flags: 0x|head:|aops:|page last allocated|dumped because"
    r"|hot-remove|Offline|Memory Block \d|to offline|write error|free of \d|\b(?:of|with) size(?: \d+)?$"
    r"|dma_alloc_from_contiguous|\bflags:$|\bonline \[(?:mem)?$"
)
TAIL_WANTED = re.compile(
    r"(?:memory offlining \[[^\]]*\](?: failed(?: due(?: to)?)?)?"
    r"|page dumped because:(?: migration| unmovable| isolation| failed| failed to(?: remove(?: from)?)?)?"
    r"|alloc failed, req-size:(?: ?\d+(?: pages?,?(?: ret:?(?: ?-)?)?)?)?"
    r"|migrating pfn \w+ failed(?: ret:)?|ret: -\d|total)$"
)
# What may follow a failure that is cut before or within its errno.
CUT_FAILURE = re.compile(
    r"(?:alloc failed, req-size:(?: ?\d+(?: pages?,?(?: ret:?(?: ?-)?)?)?)?|migrating pfn \w+ failed(?: ret:)?)$"
)
REST_OF_FAILURE = re.compile(r"\d+ pages?, ret: ?-?\d|pages?,(?:$| ret: ?-?\d)|ret: ?-?\d|:? ?-?\d{1,3}\b")
# Not a continuation: prose does not go on with a number alone, a message cut within one does.
DIGITS = re.compile(r"\d{1,4}$")
RUN_CHARACTERS = frozenset("0123456789@+")


def rejoined(lines: Iterable[RawLine]) -> Iterator[LogLine]:
    """Lines of a file, in order, as whole messages without prefixes.

    Those that are no hit are left out, unless they complete one, may list free runs, or are a driver's that failed.
    """
    ahead: deque[RawLine] = deque()
    source = iter(_one_by_one(_whole_stamps(_decoded(lines))))
    while True:
        while len(ahead) <= MOST_CONTINUATIONS:
            item = next(source, None)
            if item is None:
                break
            ahead.append(item)
        if not ahead:
            return
        raw = ahead.popleft()
        if not raw.hit and "@" not in raw.text and "fail" not in raw.text.lower():
            continue
        line = split_prefix(raw.text, raw.number)
        if LIST_OPEN.search(line.text):
            line = _whole_list(line, raw.number + raw.lines, ahead, source)
        elif OPENINGS.search(line.text):
            line, taken = _continued(line, raw.number + raw.lines, ahead)
            for _ in range(taken):
                ahead.popleft()
        yield line


def _whole_list(line: LogLine, following: int, ahead: deque[RawLine], source: Iterator[RawLine]) -> LogLine:
    """A list of free runs, put together up to its sum: it is one message, wherever it is cut, even within a number.

    following -- the number of the next line of the file. Without a sum, the line is left as it is.
    """
    text = line.text
    for taken in range(MOST_LIST_LINES):
        if len(ahead) <= taken:
            item = next(source, None)
            if item is None:
                break
            ahead.append(item)
        raw = ahead[taken]
        part = split_prefix(raw.text)
        if raw.number != following or not _bare(part) or not _is_of_list(part.text):
            break
        following = raw.number + raw.lines
        glued = not part.text or (text[-1:] in RUN_CHARACTERS and part.text[0] in RUN_CHARACTERS and ">" not in text)
        text += part.text if glued else f" {part.text}"
        if text.endswith(LIST_END):
            for _ in range(taken + 1):
                ahead.popleft()
            return line._replace(text=text)
    return line


def _is_of_list(text: str) -> bool:
    """Whether the text holds nothing but runs and the words of their sum."""
    words = text.replace("=>", " => ").split()
    return all(word in LIST_WORDS or RUN_CHARACTERS.issuperset(word) for word in words)


def _bare(line: LogLine) -> bool:
    """Whether nothing says when or by whom the line was printed: it may go on with another."""
    return line.time_ns is None and line.tid is None and line.wall is None and line.since_ns is None


def _continued(line: LogLine, following: int, ahead: Iterable[RawLine]) -> tuple[LogLine, int]:
    """The line with what completes it, and how many lines that took. following -- the number of the next line."""
    complete = not TAIL_WANTED.search(line.text)
    if complete and messages_in(line.text):
        return line, 0
    known = _score(line.text)
    if known and complete:
        return line, 0
    longer = line, 0
    for joint in (" ", ""):
        text, expected = line.text, following
        for taken, raw in enumerate(ahead, 1):
            more = split_prefix(raw.text)
            if not _bare(more) or not more.text or raw.number != expected:
                break
            if known and not _completes(line.text, more.text):
                break
            text, expected = text + joint + more.text, raw.number + raw.lines
            if _score(text) > known or (known and len(_longest(text)) > len(_longest(line.text))):
                longer = line._replace(text=text), taken
                if not CUT_FAILURE.search(text):
                    return longer
        if longer[1]:
            break
    return longer


def _score(text: str) -> int:
    """How much of what the grammar knows the text holds."""
    return len(messages_in(text)) + page_dump.is_line(text)


def _longest(text: str) -> str:
    whole = [match[0] for _, match in messages_in(text)]
    return max((*whole, text if page_dump.is_line(text) else ""), key=len)


def _completes(text: str, more: str) -> bool:
    """Whether `more` may be the end of a message that reads as whole without it."""
    if CUT_FAILURE.search(text):
        return bool(REST_OF_FAILURE.match(more))
    if text.endswith(tuple("0123456789")):
        return bool(DIGITS.match(more)) and len(more) <= 2
    return more.split(" ", maxsplit=1)[0].lower() in {
        "failed", "due", "to", "unmovable", "failure", "page", "migration", "isolation", "signal", "memory", "notifier",
        "multizone", "from", "remove", "lru",
    }  # fmt: skip


def _decoded(lines: Iterable[RawLine]) -> Iterator[RawLine]:
    """Quoted-printable (with its soft line ends) and HTML entities undone, where a line shows them."""
    broken: RawLine | None = None
    for line in lines:
        whole = line
        if broken is not None and line.number == broken.number + broken.lines:
            lines_taken = broken.lines + line.lines
            whole = RawLine(broken.number, broken.text + line.text, broken.hit or line.hit, lines_taken)
        elif broken is not None:
            yield broken
        broken = None
        if line.text.endswith("=") and len(line.text) >= SOFT_BREAK_COLUMNS:
            broken = whole._replace(text=whole.text[:-1])
        elif "=" in whole.text or "&" in whole.text:
            yield whole._replace(text=_plain(whole.text))
        else:
            yield whole
    if broken is not None:
        yield broken


def _plain(line: str) -> str:
    if QUOTED.search(line):
        line = quopri.decodestring(line.encode()).decode("utf-8", "replace").rstrip("\n")
    return html.unescape(line) if "&" in line and ENTITY.search(line) else line


def _one_by_one(lines: Iterable[RawLine]) -> Iterator[RawLine]:
    """Several lines of the log that are one line of the file, each by itself, with the number of that line."""
    for line in lines:
        parts = [line.text]
        if "<br" in line.text or line.text.count("[") > 1:
            parts = LOST_LINE_END.split(line.text)
        if _in_order(line.text, DUMP_IN_ONE_LINE):
            parts = [one for part in parts for one in DUMP_PART.split(part)]
        for part in parts[:-1]:
            yield line._replace(text=part, lines=0)
        yield line if len(parts) == 1 else line._replace(text=parts[-1])


def _in_order(text: str, words: Iterable[str]) -> bool:
    """Whether the text holds these, one after the other."""
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
    return True


def _whole_stamps(lines: Iterable[RawLine]) -> Iterator[RawLine]:
    """A time stamp that two lines share goes to the second."""
    before: RawLine | None = None
    for line in lines:
        text = line.text
        end = STAMP_END.match(text) if text[:1] != "[" else None
        if end is not None and before is not None and before.number + before.lines == line.number:
            begin = STAMP_BEGIN.search(before.text)
            stamp = (begin[1] if begin else "") + end[1]
            if begin is not None and WHOLE_STAMP.fullmatch(stamp):
                before = before._replace(text=before.text[: begin.start()])
                text = f"[{stamp}]{text[end.end() :]}"
            elif begin is None and WHOLE_STAMP.fullmatch(end[1]):
                text = f"[{end[1]}]{text[end.end() :]}"
        if before is not None:
            yield before
        before = line if text is line.text else line._replace(text=text)
    if before is not None:
        yield before
