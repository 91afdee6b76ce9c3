r"""What stands before a kernel message: quoting, level, time stamp, caller, and what syslog, vendors and tools add.

Prefixes are rows of one table, `PREFIXES`. They are taken off one after the other, in any order, until none fits:

    [   12.345678] text                                   printk.time
    <6>[   12.345678][ T1234] text                        level, CONFIG_PRINTK_CALLER ([C0] = CPU, in interrupt)
    [   12.415458]  [2:   Binder:714_1:  744] text        Samsung; MediaTek: (3)[744:Binder:714_1]text; Unisoc: [c7]
    kern  :warn  : [   12.345678] text                    dmesg -x
    6,339,5140900,-;text                                  /dev/kmsg, netconsole in its extended form
    Nov 20 12:00:00 host kernel: [   12.345678] text      syslog; the journal leaves the uptime out
    [Fri Nov 20 12:00:00 2026] text                       dmesg -T
    [  +0.000123] text                                    dmesg -H: time since the line before
    2026-11-20T12:00:00,123456+01:00 text                 dmesg --time-format iso; consoles that stamp what they print
    11-20 12:00:00.123   216   216 E cma     : text       logcat: what stood before the first colon has become its tag

>>> split_prefix("<6>[   12.345678][ T1234] migrating pfn 1f46d failed ret:1")[:3]
(12345678000, 1234, 'migrating pfn 1f46d failed ret:1')
>>> split_prefix("> [Fri Nov 20 12:00:00 2026] cma: x").wall
'Fri Nov 20 12:00:00 2026'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tracereplay.units import NS_PER_S

# The kernel's own limit is 1 KiB (PRINTKRB_RECORD_MAX); what is longer came from elsewhere.
LONGEST_LINE = 4096
# No line has more prefixes than this; a hostile one might.
MOST_PREFIXES = 12
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\([A-Z0-9]|[\0\r]")
# The stamp may stand after anything: a shell's prompt, a syslog prefix, the output of a program on the same console.
STAMP_SEARCHED = 200
UPTIME = re.compile(r"\[ *(?P<s>\d{1,9})\.(?P<frac>\d{3,9})(?:s|@\d|,\d| *<[ +]*-?\d+\.\d+>| */[^\]]{0,40})? *\]")
MONTHS = {
    m: n for n, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}


class LogLine(NamedTuple):
    """One message: uptime in ns and task that printed it (None where not known), text without prefix.

    wall -- the wall clock as the line spells it; wall_ns: the same as a number, good for comparing lines of one log.
    number -- of the line in its file, from 1; 0 where it comes from elsewhere.
    since_ns -- time since the line before, where that is all that the line shows.
    depth -- how often the line is quoted (`> > `).
    """

    time_ns: int | None
    tid: int | None
    text: str
    wall: str | None = None
    wall_ns: int | None = None
    number: int = 0
    since_ns: int | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Prefix:
    """One kind of prefix. Groups: s, frac (uptime), usec, tid, wall, since, since_frac, tag (logcat took it)."""

    name: str
    pattern: re.Pattern[str]


def _prefix(name: str, pattern: str) -> Prefix:
    return Prefix(name, re.compile(r"\s*(?:" + pattern + ")"))


_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_DATE_ISO = r"\d{4}-\d\d-\d\d[T ]" + _CLOCK + r"(?:Z|[+-]\d\d:?\d\d)?"
_DATE_SYSLOG = r"[A-Z][a-z]{2} [ \d]\d " + _CLOCK
_DATE_CTIME = r"\S{1,8} \S{1,8} [ \d]\d " + _CLOCK + r" \d{4}"

PREFIXES: tuple[Prefix, ...] = (
    _prefix("quoting", r"(?:(?:[>|]|&gt;) ?)+"),
    _prefix("level", r"<\d{1,3}>"),
    _prefix("level names", r"(?:kern|user|daemon) *[:.] *[a-z]+ *:(?= )"),
    _prefix("uptime", UPTIME.pattern),
    _prefix(
        "kmsg",
        r"\d{1,4},\d{1,12},(?P<usec>\d{1,15}),[-a-z](?:,caller=(?:T(?P<tid>\d{1,9})|C\d+))?(?:,[^;]{0,80})?;",
    ),
    _prefix("dmesg -T", r"\[(?P<wall>" + _DATE_CTIME + r")(?: *<[ +]*-?\d+\.\d+>)?\]"),
    _prefix("dmesg -H", r"\[(?P<wall>[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d)\]"),
    _prefix("dmesg -H, -d", r"\[ *[<+] *(?P<since>\d{1,9})\.(?P<since_frac>\d{1,9})>?\]"),
    _prefix("uptime, shortened by hand", r"\[ *(?P<s>\d{1,9})\.(?P<frac>\d{1,2}) *\]"),
    _prefix("typed by hand", r"\[ *\d+\.[\dx]+ *\]"),
    _prefix("iso", r"\[?(?P<wall>" + _DATE_ISO + r")\]?(?= |\t|\[|<|$)"),
    _prefix("time of day", r"\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]"),
    _prefix("unix time", r"1\d{9}\.\d{6}(?= )"),
    _prefix("syslog", r"(?P<wall>" + _DATE_SYSLOG + r"(?: \d{4})?)(?: [\w.-]{1,64}){0,3}? kernel(?:\[\d+\])?: ?"),
    _prefix("syslog ctime", r"(?P<wall>" + _DATE_CTIME + r") (?:[a-z]+\.[a-z]+ )?kernel(?:\[\d+\])?: ?"),
    _prefix("host", r"(?:[\w.-]{1,64} ){0,2}kernel(?:\[\d+\])?: ?"),
    _prefix(
        "logcat",
        r"(?P<wall>\d\d-\d\d " + _CLOCK + r") +(?:\S+ +)?(?:\d+ +\d+ +[VDIWEFS] (?P<tag>[^:\n]{1,60}?) *: ?"
        r"|[VDIWEFS]/(?P<brief>[^(\n]{1,60}?) *\( *\d+\): ?)",
    ),
    _prefix("caller", r"\[ *(?:T(?P<tid>\d{1,9})(?:@\d+)?|C\d{1,4}|c\d{1,4})\]"),
    _prefix("Samsung", r"[A-Z]?\[\d{1,3}: *[^\]:][^\]]{0,24}: *(?P<tid>\d{1,9})\]"),
    _prefix("MediaTek", r"-?\(\d{1,3}\)\[(?P<tid>\d{1,9}):[^\]]{0,24}\]"),
    _prefix("Huawei", r"\[pid:(?P<tid>\d{1,9}),[^\]]{0,40}\]"),
    _prefix("module", r"\[name:\w{1,40}&?\]"),
)  # fmt: skip
# What most lines begin with, taken in one step; `kernel` may be syslog's, another bracket a vendor's.
USUAL = re.compile(
    r"\s*(?:<\d{1,3}>)?\[ *(\d{1,9})\.(\d{3,9})\](?:\[ *(?:T(\d{1,9})|C\d{1,4})\])?\s+(?=[A-Za-z_][^\[])(.*)", re.DOTALL
)
QUOTED = re.compile(r"\s*(?:(?:>|&gt;) ?)+")
EPOCH = datetime(2000, 1, 1).toordinal()
FARTHEST_DAYS = 100_000  # from 2000: what is beyond is no date, and would not fit into 64 bits as ns


def split_prefix(line: str, number: int = 0) -> LogLine:
    """One line of a log, taken apart. Blanks around the text are dropped."""
    line = line[:LONGEST_LINE]
    if "\x1b" in line or "\0" in line or "\r" in line:
        line = ANSI.sub("", line)
    if (usual := USUAL.match(line)) and "kernel" not in line:
        time_ns = int(usual[1]) * NS_PER_S + int(usual[2].ljust(9, "0"))
        tid = int(usual[3]) if usual[3] else None
        return LogLine(time_ns, tid if tid is not None and tid < 1 << 31 else None, usual[4].rstrip(), number=number)
    found: dict[str, str] = {}
    at = _take(line, 0, found)
    if "s" not in found and "usec" not in found and (stamp := UPTIME.search(line, at, STAMP_SEARCHED)):
        found |= stamp.groupdict()
        at = _take(line, stamp.end(), found)
    text = line[at:].strip()
    if tag := found.get("tag") or found.get("brief"):
        text = text if tag == "kernel" else f"{tag.rstrip()}: {text}"
    wall = found.get("wall")
    since = _nanoseconds(found["since"], found["since_frac"]) if "since" in found else None
    quoted = QUOTED.match(line)
    return LogLine(
        _uptime(found),
        _tid(found),
        text,
        wall,
        None if wall is None else wall_ns(wall),
        number,
        since,
        quoted[0].count(">") + quoted[0].count("&gt;") if quoted else 0,
    )


def _take(line: str, at: int, found: dict[str, str]) -> int:
    """Take prefixes off from `at`; returns where the text begins."""
    for _ in range(MOST_PREFIXES):
        for prefix in PREFIXES:
            match = prefix.pattern.match(line, at)
            if match is not None and match.end() > at:
                break
        else:
            break
        at = match.end()
        for name, value in match.groupdict().items():
            if value is not None:
                found.setdefault(name, value)
    return at


def _uptime(found: dict[str, str]) -> int | None:
    if "s" in found:
        return _nanoseconds(found["s"], found["frac"])
    return int(found["usec"]) * 1000 if "usec" in found else None


def _nanoseconds(seconds: str, fraction: str) -> int:
    return int(seconds) * NS_PER_S + int(fraction.ljust(9, "0"))


def _tid(found: dict[str, str]) -> int | None:
    tid = int(found["tid"]) if "tid" in found else None
    return tid if tid is not None and tid < 1 << 31 else None


def wall_ns(text: str) -> int | None:
    """A wall clock as ns since some day: good for differences within one log, and within a year where none is known.

    >>> wall_ns("Sep 10 23:14:55") - wall_ns("Sep 10 23:14:40")
    15000000000
    """
    clock = re.search(r"(\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9}))?", text)
    if clock is None:
        return None
    day = _day(text)
    if day is None:
        return None
    hours, minutes, seconds = (int(clock[n] or 0) for n in (1, 2, 3))
    whole = ((day * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole * NS_PER_S + int((clock[4] or "0").ljust(9, "0"))


def _day(text: str) -> int | None:
    """Day number of the date in the text; a year that is not known is a leap year."""
    if iso := re.match(r"(?:(\d{4})-)?(\d\d)-(\d\d)", text):
        year, month, day = int(iso[1] or 2000), int(iso[2]), int(iso[3])
    else:
        name = re.search(r"([A-Za-z]{3})[a-z.]* *(\d{1,2}) ", text)
        month = MONTHS.get(name[1].lower(), 0) if name else 0
        if name is None or not month:
            return None
        later = re.search(r" (\d{4})$", text)
        year, day = int(later[1]) if later else 2000, int(name[2])
    try:
        days = (datetime(max(year, 1), month, 1) + timedelta(days=day)).toordinal() - EPOCH
    except (ValueError, OverflowError):
        return None
    return days if abs(days) < FARTHEST_DAYS else None
