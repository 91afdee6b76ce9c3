"""kprobe events that tell who holds a page where the kernel has no page_ref events, declared once.

A row says which function is probed, what is fetched there, which events the kernel may drop at the source, and what the
event does to the model. `capture/` writes the definitions into tracefs from these rows, `probes/` reads the events by
them. Measured on Debian 6.1 and 6.12 and on kernels 6.12.117 and 7.2.13 (x86-64): which functions fire, and what their
arguments hold, is said beside each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Role(Enum):
    """What an event of a probe tells."""

    TAKE = auto()  # references are taken
    DROP = auto()  # references are released
    BIO_DROP = auto()  # the pages of a bio are released
    MOVE = auto()  # a folio is unmapped and its content is about to move
    MOVE_RESULT = auto()  # whether it moved
    UNMAP = auto()  # a folio is about to be unmapped for migration
    UNMAP_RESULT = auto()  # what is left mapped
    DUMP = auto()  # dump_page() prints the page
    OFFLINE = auto()  # a memory block is being offlined
    OFFLINE_RESULT = auto()
    ISOLATE_RESULT = auto()  # the pageblocks of a range were isolated, or not
    TEST_RESULT = auto()  # the range was tested
    CONTIG_RESULT = auto()  # a contiguous range was allocated, or not
    ISOLATE_TEST = auto()  # isolate_migratepages_block() compares a folio's count with its mapcount
    BASE = auto()  # only tells where vmemmap begins


class Slot(Enum):
    """What a fetched value is."""

    PAGE = auto()  # struct page *, perhaps of a tail page
    FOLIO = auto()  # struct folio *: the head page
    HEAD_WORD = auto()  # page->compound_head (compound_info on 7.x): tells the head of a tail page
    TARGET = auto()  # the folio that the content moves to
    REFS = auto()  # how many references, or pins
    FLAGS = auto()  # FOLL_*
    COUNT = auto()  # _refcount before the change
    MAPCOUNT = auto()  # raw _mapcount
    MAPPING = auto()  # page->mapping
    PAGE_FLAGS = auto()  # page->flags
    RESULT = auto()  # the function's return value
    START_PFN = auto()
    END_PFN = auto()
    PAGES = auto()
    BASE = auto()  # vmemmap_base
    REASON = auto()  # why dump_page() was called
    SEGMENTS = auto()  # bio_vec[]: page, length and offset, two words each
    SEGMENT_COUNT = auto()
    NEXT_HEAD_WORD = auto()  # HEAD_WORD of the next page: bit 0 set = a tail, so this folio is large
    CALLER = auto()  # return address: in text a symbol, in records a number


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch argument: NAME=EXPRESSION in the definition of the probe, and what the value is.

    {refcount} ... -- offsets in struct page, put in where the probe is defined (from BTF, or as KNOWN_PAGE says);
    {caller} -- where the return address is at a function's entry, by RETURN_ADDRESS.
    """

    name: str
    slot: Slot
    expression: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    name -- of the event; also_named -- the same event as others have named it; function -- what is probed;
    returns -- at its return (kretprobe);
    only_with, not_with -- functions this row goes with, or does not: kernels differ;
    else_fetches -- what to fetch where the kernel refuses `fetches`: $argN at the return is of 6.9 and later;
    gup -- only with FOLL_GET or FOLL_PIN does an event of it mean that a reference is taken;
    caller -- only a call from this function means what the role says. A filter drops the other events in the kernel;
    where the kernel refuses the filter, the probe is not enabled.
    """

    name: str
    function: str
    role: Role
    fetches: tuple[Fetch, ...]
    returns: bool = False
    also_named: tuple[str, ...] = ()
    only_with: str = ""
    not_with: str = ""
    else_fetches: tuple[Fetch, ...] | None = None
    gup: bool = False
    caller: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names its events may have."""
        return (self.name, *self.also_named)


@dataclass(frozen=True, slots=True)
class FollFlags:
    """Values of FOLL_* (include/linux/mm.h, mm_types.h): renumbered in 6.3, when they became internal to mm."""

    get: int
    pin: int
    remote: int
    longterm: int

    @property
    def taking(self) -> int:
        """Without one of these the function is called and takes nothing (MAP_POPULATE)."""
        return self.get | self.pin


FOLL_UP_TO_6_2 = FollFlags(get=0x4, pin=0x40000, remote=0x2000, longterm=0x10000)
FOLL_FROM_6_3 = FollFlags(get=0x2, pin=0x80000, remote=0x40000, longterm=0x100)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """struct page as the traced kernel has it, in bytes."""

    size: int = 64
    flags: int = 0x0
    compound_head: int = 0x8
    mapping: int = 0x18
    mapcount: int = 0x30
    refcount: int = 0x34

    @property
    def next_head(self) -> int:
        """Of compound_head in the struct page that follows."""
        return self.size + self.compound_head


# x86-64 and arm64 with CONFIG_MEMCG, 6.1 to 7.2; read from BTF where the kernel has it, checked against the trace else.
KNOWN_PAGE = PageLayout()

_PAGE = Fetch("page", Slot.PAGE, "$arg1:x64")
_FOLIO = Fetch("folio", Slot.FOLIO, "$arg1:x64")
_COUNT = Fetch("rc", Slot.COUNT, "+{refcount}($arg1):s32")
_MAPCOUNT = Fetch("mc", Slot.MAPCOUNT, "+{mapcount}($arg1):s32")
_HEAD = Fetch("ch", Slot.HEAD_WORD, "+{compound_head}($arg1):x64")
_REFS = Fetch("refs", Slot.REFS, "$arg2:s32")
_FLAGS = Fetch("flags", Slot.FLAGS, "$arg3:x32")
_BASE = Fetch("vb", Slot.BASE, "@vmemmap_base:x64")
_RESULT = Fetch("ret", Slot.RESULT, "$retval:s32")
_RANGE = (Fetch("s", Slot.START_PFN, "$arg1:x64"), Fetch("e", Slot.END_PFN, "$arg2:x64"))
_PIPE_PAGE = "+0($arg2)"  # pipe_buffer->page

# By machine (uname -m). On arm64 a probe at the entry comes before paciasp: the address is not signed yet.
RETURN_ADDRESS = {"x86_64": "$stack0", "aarch64": "%lr"}

GUP_FAST = "try_grab_folio_fast"  # 6.11: the slow path kept the name try_grab_folio, and takes a folio

PROBES: tuple[Probe, ...] = (
    # Gives the head page on 6.12, the page requested on 7.2; refs pages of one folio are one event.
    Probe("getf", GUP_FAST, Role.TAKE, (_PAGE, _REFS, _FLAGS, _COUNT, _HEAD), gup=True),
    # The slow path, less often: it also fetches where vmemmap begins.
    Probe("get", "try_grab_folio", Role.TAKE, (_FOLIO, _REFS, _FLAGS, _COUNT, _BASE), only_with=GUP_FAST, gup=True),
    Probe("get", "try_grab_folio", Role.TAKE, (_PAGE, _REFS, _FLAGS, _COUNT, _HEAD), not_with=GUP_FAST, gup=True),
    Probe(
        "get1",
        "try_grab_page",
        Role.TAKE,
        (_PAGE, Fetch("flags", Slot.FLAGS, "$arg2:x32"), _COUNT, _HEAD, _BASE),
        gup=True,
    ),
    Probe(
        "upf", "unpin_user_folio", Role.DROP, (_FOLIO, Fetch("n", Slot.REFS, "$arg2:u64"), _COUNT)
    ),  # pins only; on 7.2 gup_put_folio is inlined into it
    # Also fires inside unpin_user_folio and unpin_user_page: then it is the same release.
    Probe("gput", "gup_put_folio", Role.DROP, (_PAGE, _REFS, _FLAGS)),
    Probe("unpin", "unpin_user_page", Role.DROP, (_PAGE,)),
    # What vmsplice took: user_page_pipe_buf_ops release by this one.
    Probe(
        "pcpbr",
        "page_cache_pipe_buf_release",
        Role.DROP,
        (
            Fetch("page", Slot.PAGE, f"{_PIPE_PAGE}:x64"),
            Fetch("ch", Slot.HEAD_WORD, f"+{{compound_head}}({_PIPE_PAGE}):x64"),
            Fetch("rc", Slot.COUNT, f"+{{refcount}}({_PIPE_PAGE}):s32"),
        ),
    ),
    # O_DIRECT up to 6.4 takes plain references, which only the end of the bio releases: bi_vcnt 0x68, bi_io_vec 0x70.
    Probe(
        "biorel",
        "__bio_release_pages",
        Role.BIO_DROP,
        (
            Fetch("bio", Slot.TARGET, "$arg1:x64"),
            Fetch("n", Slot.SEGMENT_COUNT, "+0x68($arg1):u16"),
            Fetch("bv", Slot.SEGMENTS, "+0(+0x70($arg1)):x64[32]"),
        ),
        not_with=GUP_FAST,
    ),
    # The folio is unmapped here: _refcount minus the isolation's own and the page cache's is what others hold.
    Probe(
        "mig",
        "move_to_new_folio",
        Role.MOVE,
        (
            Fetch("dst", Slot.TARGET, "$arg1:x64"),
            Fetch("src", Slot.FOLIO, "$arg2:x64"),
            Fetch("rc", Slot.COUNT, "+{refcount}($arg2):s32"),
            Fetch("mc", Slot.MAPCOUNT, "+{mapcount}($arg2):s32"),
            Fetch("mapping", Slot.MAPPING, "+{mapping}($arg2):x64"),
            Fetch("fl", Slot.PAGE_FLAGS, "+{flags}($arg2):x64"),
        ),
        also_named=("mtnf",),
    ),
    Probe(
        "mig_r",
        "move_to_new_folio",
        Role.MOVE_RESULT,
        (Fetch("src", Slot.FOLIO, "$arg2:x64"), _RESULT),
        returns=True,
        also_named=("mtnf_r",),
        else_fetches=(_RESULT,),
    ),
    # A pinned anonymous folio is refused here (folio_try_share_anon_rmap) and never reaches move_to_new_folio().
    Probe("ttm", "try_to_migrate", Role.UNMAP, (_FOLIO, _COUNT, _MAPCOUNT)),
    Probe(
        "ttm_r",
        "try_to_migrate",
        Role.UNMAP_RESULT,
        (_FOLIO, _COUNT, _MAPCOUNT),
        returns=True,
    ),
    Probe("dump", "dump_page", Role.DUMP, (_PAGE, Fetch("why", Slot.REASON, "+0($arg2):string"), _COUNT)),
    # A held anonymous folio is refused before it is isolated, with the count and mapcount compared at this call:
    #     mapping = folio_mapping(folio); if (!mapping && folio_ref_count(folio) - 1 > folio_mapcount(folio)) skip
    # CMA and compaction read the count nowhere else where a probe sees it. 6.1 calls page_mapping(), which is this one.
    Probe(
        "imb",
        "folio_mapping",
        Role.ISOLATE_TEST,
        (
            _FOLIO,
            _COUNT,
            _MAPCOUNT,
            Fetch("mapping", Slot.MAPPING, "+{mapping}($arg1):x64"),
            Fetch("fl", Slot.PAGE_FLAGS, "+{flags}($arg1):x64"),
            Fetch("nh", Slot.NEXT_HEAD_WORD, "+{next_head}($arg1):x64"),
            Fetch("caller", Slot.CALLER, "{caller}:symbol"),
        ),
        caller="isolate_migratepages_block",
    ),
    Probe(
        "off",
        "offline_pages",
        Role.OFFLINE,
        (Fetch("pfn", Slot.START_PFN, "$arg1:x64"), Fetch("nr", Slot.PAGES, "$arg2:x64"), _BASE),
    ),
    Probe(
        "off_r",
        "offline_pages",
        Role.OFFLINE_RESULT,
        (Fetch("pfn", Slot.START_PFN, "$arg1:x64"), Fetch("nr", Slot.PAGES, "$arg2:x64"), _RESULT),
        returns=True,
        else_fetches=(_RESULT,),
    ),
    Probe(
        "sipr_r",
        "start_isolate_page_range",
        Role.ISOLATE_RESULT,
        (*_RANGE, _RESULT),
        returns=True,
        else_fetches=(_RESULT,),
    ),
    Probe(
        "tpi_r",
        "test_pages_isolated",
        Role.TEST_RESULT,
        (*_RANGE, _RESULT),
        returns=True,
        else_fetches=(_RESULT,),
    ),
    *(
        Probe("acr", name, Role.CONTIG_RESULT, (*_RANGE, _RESULT), returns=True, else_fetches=(_RESULT,))
        for name in ("alloc_contig_range_noprof", "alloc_contig_range")
    ),
)

# Readers find a probe by the name of its event: names of one probe all have one role.
CALLERS: dict[str, str] = {probe.name: probe.caller for probe in PROBES if probe.caller}
ROLES: dict[str, Role] = {name: probe.role for probe in PROBES for name in probe.names}
FUNCTIONS: dict[str, str] = {name: probe.function for probe in reversed(PROBES) for name in probe.names}
# What others may fetch in any probe under these names: vmemmap_base, count, mapcount, and the word that tells a head.
ANYWHERE = {"vb": Slot.BASE, "rc": Slot.COUNT, "mc": Slot.MAPCOUNT, "ch": Slot.HEAD_WORD}
SLOTS: dict[str, dict[str, Slot]] = {}
for _probe in PROBES:
    for _name in _probe.names:
        SLOTS.setdefault(_name, dict(ANYWHERE)).update({fetch.name: fetch.slot for fetch in _probe.fetches})
        if _probe.role is Role.TAKE:  # try_grab_folio's first argument has two names
            SLOTS[_name] |= {"page": Slot.PAGE, "folio": Slot.FOLIO}
PROBE_EVENTS = frozenset(ROLES)
# Events of references: without them in a trace, their absence proves nothing.
REFERENCE_PROBES = frozenset(n for n, role in ROLES.items() if role in (Role.TAKE, Role.DROP, Role.BIO_DROP))
# The table of calls that readers make of these events: offline_pages() has no tracepoint.
OFFLINE_EVENT = "offline_pages"
# Without one of these a trace has kprobe events of some other kind.
TELLING_ROLES = frozenset({Role.TAKE, Role.MOVE, Role.UNMAP, Role.OFFLINE, Role.OFFLINE_RESULT})
