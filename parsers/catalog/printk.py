"""printk: the kernel log inside the trace (include/trace/events/printk.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, text

EVENTS = (
    EventSpec(
        "printk",
        "console",
        "One line of the kernel log",
        (text("msg", "The line"),),
        text=(r"msg=(?P<msg>.*?)", r"(?P<msg>.*)"),
    ),
)
