"""io_uring: who registers fixed buffers, which are long-term pins (include/trace/events/io_uring.h)."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count

EVENTS = (
    EventSpec(
        "io_uring", "io_uring_register", "io_uring_register() was called; names no page",
        (bits("ctx", "The ring; hashed in text"),
         count("opcode", "0 registers buffers, 1 unregisters them, 15 registers (BUFFERS2)"),
         count("nr_files", "Files registered"), count("nr_bufs", "Buffers registered"),
         count("eventfd", "1: an eventfd is registered (up to 5.15)"), count("ret", "0 or a negative errno")),
        text=(r"ring (?P<ctx>\S+), opcode (?P<opcode>\d+), nr_user_files (?P<nr_files>\d+), "
              r"nr_user_bufs (?P<nr_bufs>\d+), ret (?P<ret>-?\d+)",
              r"ring (?P<ctx>\S+), opcode (?P<opcode>\d+), nr_user_files (?P<nr_files>\d+), "
              r"nr_user_bufs (?P<nr_bufs>\d+), eventfd (?P<eventfd>\d+), ret (?P<ret>-?\d+)"),
        spelling={"ctx": Spelling("ctx", Read.HEX)},
    ),
)  # fmt: skip
