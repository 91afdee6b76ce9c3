"""fuse: requests to a file system's server (fs/fuse/fuse_trace.h, 6.10+). Sent without end: the server is silent."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Spelling, bits, count

CONNECTION = count("connection", "Device of the mount, as the kernel keeps it")
UNIQUE = bits("unique", "Number of the request")
OPCODE = count("opcode", "enum fuse_opcode: 15 READ, 16 WRITE ...")
LEN = count("len", "Size of the message", "bytes")
SPELLING = {"req": Spelling("unique")}
REQUEST = r"connection (?P<connection>\d+) req (?P<req>\d+)"
OP = r"opcode (?P<opcode>\d+) \(.*?\)"

EVENTS = (
    EventSpec("fuse", "fuse_request_send", "A request was queued", (CONNECTION, UNIQUE, OPCODE, LEN),
              text=(rf"{REQUEST} {OP} len (?P<len>\d+)",), spelling=SPELLING),
    EventSpec("fuse", "fuse_request_sent", "The server has taken it (7.x)", (CONNECTION, UNIQUE, OPCODE),
              text=(rf"{REQUEST} {OP}",), spelling=SPELLING),
    EventSpec("fuse", "fuse_request_end", "It was answered",
              (CONNECTION, UNIQUE, LEN, count("error", "0 or a negative errno")),
              text=(rf"{REQUEST} len (?P<len>\d+) error (?P<error>-?\d+)",), spelling=SPELLING),
)  # fmt: skip
