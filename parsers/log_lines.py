r"""What stands before a kernel message: level, time stamp, caller, and what syslog, the journal or vendors add.

    [   12.345678] text                                   printk.time
    <6>[   12.345678][ T1234] text                        level, CONFIG_PRINTK_CALLER ([C0] = CPU, in interrupt)
    [   12.415458]  [2:   Binder:714_1:  744] text        Samsung; MediaTek: (3)[744:Binder:714_1]text
    kern  :warn  : [   12.345678] text                    dmesg -x
    Nov 20 12:00:00 host kernel: [   12.345678] text      syslog; the journal leaves the uptime out
    2026-11-20T12:00:00,123456+01:00 text                 dmesg --time-format iso

>>> split_prefix("<6>[   12.345678][ T1234] migrating pfn 1f46d failed ret:1")
LogLine(time_ns=12345678000, tid=1234, text='migrating pfn 1f46d failed ret:1')
"""

from __future__ import annotations

import re
from typing import NamedTuple

# The kernel's own limit is 1 KiB (PRINTKRB_RECORD_MAX); what is longer came from elsewhere.
LONGEST_LINE = 4096
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# The uptime may stand behind a syslog prefix, a shell prompt or mail quoting.
UPTIME = re.compile(r"\[ *(\d{1,9})\.(\d{3,9})\]")
# Stamps that give no uptime: dmesg -T, and hand-typed logs ("[ 77.xxx ]").
OTHER_STAMP = re.compile(r"[\s>|]*(?:<\d+>)?\[ *(?:\d+\.[\dx]+|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]+ \d{4}) *\]")
ISO_STAMP = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\s+")
SYSLOG = re.compile(r"\s*(?:[^\s\[]+ +){0,5}kernel(?:\[\d+\])?: ?")
QUOTING = re.compile(r"(?:[>|] ?)*(?:<\d{1,3}>)?")
CALLER = re.compile(r"\s*\[ *(?:T(?P<tid>\d{1,9})|C\d+)\]")
VENDOR_CALLER = re.compile(r"\s*(?:\[\d+: *.{1,16}?: *(\d{1,9})\]|-?\(\d+\)\[(\d{1,9}):[^\]]*\])")


class LogLine(NamedTuple):
    """One message: uptime in ns, task that printed it (both None where not known), text without prefix."""

    time_ns: int | None
    tid: int | None
    text: str


def split_prefix(line: str) -> LogLine:
    """One line of a log file, taken apart. Blanks around the text are dropped."""
    line = line[:LONGEST_LINE]
    if "\x1b" in line:
        line = ANSI.sub("", line)
    time_ns = tid = None
    if stamp := UPTIME.search(line, 0, 200):
        time_ns = int(stamp[1]) * 1_000_000_000 + int(stamp[2].ljust(9, "0"))
    else:
        stamp = OTHER_STAMP.match(line) or SYSLOG.match(line) or ISO_STAMP.match(line) or QUOTING.match(line)
    text = line[stamp.end() :] if stamp else line
    if caller := CALLER.match(text):
        tid = int(caller["tid"]) if caller["tid"] else None
        text = text[caller.end() :]
    elif vendor := VENDOR_CALLER.match(text):
        tid = int(vendor[1] or vendor[2])
        text = text[vendor.end() :]
    if host := SYSLOG.match(text):  # journalctl -o short-monotonic: the stamp comes first
        text = text[host.end() :]
    return LogLine(time_ns, tid, text.strip())
