"""What the kernel prints about CMA, offlining and migration: each message is one row of `MESSAGES`.

A row says how the message is recognised (a literal that must occur, then a pattern), what it means for the call it belongs
to, and where it was seen. Page dumps are blocks of lines: `page_dump`. Patterns are searched within the text of a line,
so that unknown prefixes do no harm; they are linear. A group's name is the column that its value goes to:

    pages count align free errno        decimal (errno: printed negative, kept positive)
    start end pfn                       page frame numbers, hexadecimal
    low last address                    physical addresses, hexadecimal; `last` is the last byte
    area block reason error             text; error: strerror()'s words
"""

# ruff: noqa: E501  (one message is one row)

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache


class Says(StrEnum):
    """What a message means for the call that it belongs to."""

    BEGINS = "a call begins"
    TRY = "one range was tried and was busy"
    PAGE = "one page could not be moved"
    FAILED = "the call failed"
    SUCCEEDED = "the call succeeded"
    RETURNED = "the call returned a page, or none"
    BITMAP = "what an area's bitmap held when a call had failed"
    HINT = "why the call of the next line fails"
    FACT = "about the machine or the log"


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of message. seen -- kernel versions whose source prints it."""

    kind: str
    says: Says
    literal: str
    regex: str
    seen: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """Compiled at first use: a log has few of the kinds."""
        return _compiled(self.regex)


_compiled = cache(re.compile)


_HEX = r"[0-9a-f]{1,16}"
_N = r"\d{1,18}"
_AREA = r"(?!alloc failed)\S.{0,63}?"  # CMA_MAX_NAME
_MEM = rf"\[(?:mem )?0x(?P<low>{_HEX})[- ]+(?:0x)?(?P<last>{_HEX})\]"
# A block's folder is under `memory`, and linked under its node.
_BLOCKS = r"/sys/devices/system/(?:memory|node/node\d{1,4})"
_OFF = r"(?:\boffline|\b0)[\"']?"
_ERROR = (
    r"(?P<error>(?i:Device or resource busy|Invalid argument|Interrupted system call|Cannot allocate memory"
    r"|Resource temporarily unavailable|Operation not permitted|Input/output error|No such device))"
)

MESSAGES: tuple[Message, ...] = (
    # mm/cma.c; drivers/base/dma-contiguous.c before 3.17. `cma: ` may be cut off, or be logcat's tag.
    Message(
        "cma_failed", Says.FAILED, "alloc failed",
        # The area's name is arbitrary text; 5.10 and older print none.
        # Blanks may be missing, and `ret` be misspelt, where a line is typed from a picture.
        rf"(?:\w{{0,24}}cma_alloc\w{{0,24}}(?:\(\))?: ?(?:(?P<area>{_AREA}): ?)?)?alloc failed, ?req-size: ?(?P<pages>{_N}) pages?,"
        r" ?(?:ret: ?-?|\w{1,4}: ?-)(?P<errno>\d{1,4})\b",
        "4.10 to 7.x",
    ),
    # Cut before its errno, as in a sentence that quotes it.
    Message(
        "cma_failed", Says.FAILED, "alloc failed",
        rf"\w{{0,24}}cma_alloc\w{{0,24}}(?:\(\))?(?:: (?:(?P<area>{_AREA}): )?alloc)? failed, req-size: ?(?P<pages>{_N}) pages?\b",
        "4.10 to 7.x",
    ),
    Message(
        "cma_begins", Says.BEGINS, "(cma ",
        rf"\w{{0,24}}(?:cma_alloc|dma_alloc_from_contiguous)\w{{0,24}}\(cma [^,]{{1,40}},(?: name: ?(?P<area>[^,]{{1,64}}),)?"
        # As posted in 2024: `total pages: 16384, used pages: 64, request pages: 1`, or `request count 1`.
        rf"(?: total \w{{1,8}}:? {_N}, used \w{{1,8}}:? {_N}, request)? (?:count|pages:?) (?P<pages>{_N}), align (?P<align>\d{{1,2}})\)",
        "3.5 to 7.x, debug",
    ),
    Message(
        "cma_begins", Says.BEGINS, "count ",
        # A vendor's of 5.10: task, address and size of the area come first.
        rf"\bcma_alloc\w{{0,24}}\([^()]{{0,40}}\bcma\([^()]{{1,60}}\) (?P<area>[^\s()]{{1,64}})\({_HEX}\),"
        rf" count (?P<pages>{_N}), align (?P<align>\d{{1,2}})\b",
        "5.10, vendors",
    ),
    Message(
        "cma_busy", Says.TRY, "is busy, retrying",
        rf"\w{{1,40}}\(\): memory range at (?:pfn 0x(?P<start>{_HEX})(?: \S+)?|\S+) is busy, retrying",
        "3.5 to 7.x, debug; with the pfn since 6.2; vendors print it alone",
    ),
    Message(
        "cma_returned", Says.RETURNED, "(): returned ",
        # A null pointer is padded to the width of one on 32-bit machines: `returned   (null)`.
        r"(?:cma_alloc|dma_alloc_from_contiguous)\w{0,24}\(\): returned {1,20}(?P<reason>\S{1,40})",
        "3.5 to 7.x, debug",
    ),
    # CONFIG_CMA_DEBUG up to 5.x, always since; each `pr_cont` may have become a line of its own.
    Message(
        "cma_bitmap", Says.BITMAP, "total pages",
        rf"(?:available pages: ?)?(?P<reason>[0-9@+]*) ?= ?(?:>|&gt;) ?(?P<free>{_N}) free of (?P<pages>{_N}) total pages",
        "4.10 to 7.x",
    ),
    Message("bitmap_begins", Says.BITMAP, "available pages:", r"number of available pages: ?(?P<reason>[0-9@+]*)$", "4.10 to 7.x"),
    Message("bitmap_part", Says.BITMAP, "@", r"^(?P<reason>\+?\d{1,15}@\d{1,15}(?:\+\d{1,15}@\d{1,15})*\+?)$", "4.10 to 7.x"),
    Message("bitmap_range", Says.BITMAP, "range ", r"\brange (?P<range>\d{1,6}): (?P<reason>[0-9@+]+)\+?$", "7.x: one line a range"),
    # mm/page_alloc.c
    Message(
        "contig_busy", Says.TRY, "busy",
        rf"alloc_contig\w{{0,24}}: ?\[(?P<start>{_HEX}), (?P<end>{_HEX})\) PFNs busy",
        "3.17 to 5.12",
    ),
    Message(
        "contig_busy", Says.TRY, "test_pages_isolated",
        rf"test_pages_isolated\((?P<start>{_HEX}), (?P<end>{_HEX})\) failed",
        "3.5 to 3.16",
    ),
    # mm/memory_hotplug.c
    Message(
        "offline_failed", Says.FAILED, "memory offlining",
        rf"memory offlining {_MEM} failed(?: due to (?P<reason>[^\n]*\S))?",
        "3.6 to 7.x; the reason since 4.21, debug since 5.0",
    ),
    Message(
        "offline_failed", Says.FAILED, "memory offlining",
        rf"memory offlining (?P<start>{_HEX}) to (?P<end>{_HEX}) failed",
        "2.6.24 to 3.5: page frames",
    ),
    Message("offlined", Says.SUCCEEDED, "Offlined Pages", rf"Offlined Pages (?P<pages>{_N})\b", "2.6.24 to 5.10; debug since"),
    Message(
        "migrate", Says.PAGE, "migrating pfn",
        # ret is migrate_pages()' count of folios left, not an errno.
        rf"migrating pfn (?:0x)?(?P<pfn>{_HEX}) failed\b(?: ret:(?P<count>-?\d{{1,9}}))?",
        "5.0 to 7.x; without the count as posted in 2018",
    ),
    Message(
        "isolate", Says.PAGE, "pfn",
        rf"(?:failed to isolate pfn|removing pfn) (?:0x)?(?P<pfn>{_HEX})\b(?: from LRU failed)?",
        "2.6.34 to 7.x; `removing` up to 4.8, CONFIG_DEBUG_VM up to 4.20",
    ),
    Message(
        "unmovable", Says.PAGE, "has_unmovable_pages: pfn",
        rf"has_unmovable_pages: pfn:0x(?P<pfn>{_HEX}), found\b",
        "a patch posted in 2018 for debugging; the dump follows",
    ),
    Message("isolate", Says.PAGE, "LRU failed", rf"removing from LRU failed (?P<pfn>{_HEX})/\d+/{_HEX}", "2.6.24 to 2.6.33"),
    # Who asks for it: ACPI (drivers/acpi/scan.c), pseries, virtio-mem, drivers/base/memory.c, tools.
    Message(
        "block_failed", Says.FAILED, "ffline failed",
        r"\bmemory (?P<block>memory\d{1,9}): Offline failed\b",
        "3.10 to 7.x, ACPI",
    ),
    Message(
        "request_failed", Says.FAILED, "hot-remove",
        r"(?:Memory (?:indexed-count-)?(?:hot-)?remove failed|Failed to hot-remove memory at (?:0x)?(?P<address>[0-9a-f]{1,16}))",
        "4.2 to 7.x, pseries-hotplug-mem",
    ),
    Message(
        "request_failed", Says.FAILED, "Memory indexed-count-remove failed", r"Memory indexed-count-remove failed",
        "4.11 to 7.x, pseries-hotplug-mem",
    ),
    Message(
        "request_failed", Says.FAILED, "DLPAR request", r'Could not handle DLPAR request "memory remove\b[^"]{0,80}"',
        "4.2 to 7.x, pseries",
    ),
    Message(
        "hot_removed", Says.SUCCEEDED, "was hot-removed", rf"Memory at (?:0x)?(?P<address>{_HEX}) (?:\([^)]*\) )?was hot-removed",
        "4.2 to 7.x, pseries-hotplug-mem",
    ),
    Message(
        "offline_begins", Says.BEGINS, "offlining and removing memory: ",
        rf"offlining and removing memory: 0x(?P<low>{_HEX}) - 0x(?P<last>{_HEX})",
        "5.11 to 7.x, virtio-mem, debug",
    ),
    Message(
        "virtio_failed", Says.FAILED, "offlining and removing memory failed",
        r"offlining and removing memory failed: -?(?P<errno>\d{1,4})\b",
        "5.11 to 7.x, virtio-mem, debug",
    ),
    Message(
        "tool_failed", Says.FAILED, "ailed to offline",
        rf"[Ff]ailed to offline \S*/(?P<block>memory\d{{1,9}})/\w+: {_ERROR}",
        "libdaxctl",
    ),
    Message(
        "tool_failed", Says.FAILED, "disable failed",
        rf"(?P<blocks>Memory Block \d{{1,9}})\b[^:]{{0,80}} disable failed: {_ERROR}",
        "chmem of util-linux",
    ),
    Message("tool_failed", Says.FAILED, "unable to hot-unplug", r"unable to hot-unplug (?P<block>memory\d{1,9}) block\b", "avocado"),
    Message(
        "tool_begins", Says.BEGINS, "/sys/devices/system/",
        rf"{_OFF} *(?:>|\| *(?:sudo )?tee) *\S*{_BLOCKS}/(?P<block>memory\d{{1,9}})/(?:state|online)",
        "a shell",
    ),
    # In the block's own folder, or in the one above: the prompt names it.
    Message(
        "tool_begins", Says.BEGINS, "/sys/devices/system/",
        rf"{_BLOCKS}/(?P<block>memory\d{{1,9}})[#$] .{{0,40}}?\becho +[\"']?{_OFF} *> *(?:state|online)\b",
        "a shell",
    ),
    Message(
        "tool_begins", Says.BEGINS, "/sys/devices/system/",
        rf"{_BLOCKS}[#$] .{{0,40}}?\becho +[\"']?{_OFF} *> *(?:\./)?(?P<block>memory\d{{1,9}})/(?:state|online)\b",
        "a shell",
    ),
    Message("tool_begins", Says.BEGINS, "online->offline ", r"\bonline->offline (?P<block>memory\d{1,9})\b", "selftests/memory-hotplug"),
    Message("tool_succeeded", Says.SUCCEEDED, "-> Success", r"(?:^|[#\]>|] *)-> Success$", "selftests/memory-hotplug, 6.10 to 7.x"),
    Message("shell_failed", Says.FAILED, "-> Failure", r"(?:^|[#\]>|] *)-> Failure$", "selftests/memory-hotplug, 6.10 to 7.x"),
    Message("shell_failed", Says.FAILED, "write error", rf"write error: {_ERROR}", "a shell"),
    Message("shell_failed", Says.FAILED, "/sys/devices/system/", rf"/(?P<block>memory\d{{1,9}})/(?:state|online): {_ERROR}", "tee"),
    Message("shell_failed", Says.FAILED, "echo: I/O error", r"\becho: I/O error", "dash, whatever the errno"),
    # Notifiers that refuse (MEM_GOING_OFFLINE), and say so.
    Message("veto", Says.HINT, "emory region in use", r"[Mm]emory region in use", "kexec_core, posted 2020"),
    Message(
        "boot_memory", Says.FAILED, "offlining attempted",
        rf"Boot memory \[(?P<low>{_HEX}) (?P<end_address>{_HEX})\] offlining attempted",
        "5.10 to 7.x, arm64",
    ),
    # A page that an administrator or mcelog retires: no range is emptied, no attempt.
    Message("soft_offline", Says.PAGE, "oft offline", rf"[Ss]oft offline: ?0x(?P<pfn>{_HEX}): .*?(?:migration|isolation) failed:? ?(?P<count>-?\d{{1,9}})", "2.6.33 to 7.x"),
    Message("soft_offline", Says.PAGE, "oft offline", rf"[Ss]oft offline: ?0x(?P<pfn>{_HEX})\b.*?(?:fail|poison|isolate|unhandlable)", "2.6.33 to 7.x"),
    # Memory that is taken away without having been offlined; nothing was tried.
    Message("not_offline", Says.FACT, "removing memory fails", rf"removing memory fails, because memory \[(?:mem )?0x{_HEX}-0x{_HEX}\] is onlined", "3.9 to 7.x"),
    Message("not_offline", Says.FACT, "hotremoved until the next reboot", r"\bkmem \S{1,40}: .{1,80} cannot be hotremoved until the next reboot", "5.1 to 6.x"),
    Message("not_offline", Says.FACT, "stuck online until reboot", r"\bkmem \S{1,40}: .{1,80} stuck online until reboot", "7.x"),
    # A driver's own words for a buffer that it did not get: of CMA, of the buddy allocator, of an IOMMU or of swiotlb.
    Message("driver_failed", Says.FACT, "ailed to allocate from CMA", r"[Ff]ailed to allocate from CMA\b", "vc4"),
    Message("driver_failed", Says.FACT, "dma alloc of size", r"dma alloc of size \d{1,20} failed", "videobuf2"),
    Message("driver_failed", Says.FACT, "dma_alloc_", r"\bdma_alloc_\w{1,30}\b(?=[^%;]{0,60}\d{3})[^%;]{0,60}?\bfailed\b", "videobuf2, remoteproc"),
    Message("driver_failed", Says.FACT, "allocate buffer with size", r"failed to allocate buffer with size \d{1,20}", "drm_gem_dma"),
    Message("driver_failed", Says.FACT, "allocate dma memory", r"failed to allocate dma memory\b", "remoteproc"),
    Message("driver_failed", Says.FACT, "coherent allocation failed", r"coherent allocation failed, size=\d", "swiotlb, 3.x to 4.20"),
    Message("driver_failed", Says.FACT, "atomic coherent allocation", r"failed to allocate \d{1,9} KiB.{0,20} pool for atomic", "dma-mapping, at boot"),
    Message("driver_failed", Says.FACT, "cma_alloc fail", r"\w{0,30}cma_alloc failed(?:, size|!|:| for )", "vendors"),
    Message("driver_failed", Says.FACT, "CMA alloc", r"\bCMA alloc(?:ation)? failed[^%;]{0,60}\d", "vendors"),
    Message("driver_failed", Says.FACT, "from DMA-BUF heap", r"Unable to allocate from DMA-BUF heap", "libdmabufheap"),
    # About the machine, and about the log.
    Message("not_reserved", Says.FACT, "cma: Failed to reserve", r"\bcma: Failed to reserve \d{1,9} MiB", "3.5 to 7.x, at boot"),
    Message("not_reserved", Says.FACT, "hugetlb_cma: reservation failed", r"hugetlb_cma: reservation failed: err", "5.7 to 7.x, at boot"),
    Message("not_reserved", Says.FACT, "alignment of CMA region", r"incorrect alignment of CMA region", "3.17 to 7.x, at boot"),
    Message("owner_record", Says.FACT, "PFN ", r"^PFN (?:0x)?[0-9a-f]{1,16} type \w{1,20} Block \d{1,12} type \w", "page_owner, 4.7 to 7.x"),
    Message("tool_refused", Says.FACT, "to offline memory", r"\bdax\d{1,4}\.\d{1,4}: (?:failed|unable) to offline memory\b", "daxctl"),
    Message("suppressed", Says.FACT, "callbacks suppressed", r"\b(?P<reason>\w{1,60}): (?P<count>\d{1,18}) (?:output lines|callbacks) suppressed", "2.6.x to 7.x"),
    Message("repeated", Says.FACT, "message repeated", r"message repeated (?P<count>\d{1,9}) times?(?P<whole>: \[)?", "syslogd; with the message itself: rsyslogd"),
    Message("onlined", Says.FACT, "online", rf"\bonline(?:_pages)? {_MEM}", "2.6.x to 7.x"),
    Message("meminfo", Says.FACT, "CmaFree:", r"\bCmaFree: +(?P<count>\d{1,15}) kB", "/proc/meminfo, beside a log"),
)  # fmt: skip

# A call of these names runs an errno together with words.
ERRNO_OF_WORDS = {
    "Device or resource busy": 16,
    "Invalid argument": 22,
    "Interrupted system call": 4,
    "Cannot allocate memory": 12,
    "Resource temporarily unavailable": 11,
    "Operation not permitted": 1,
    "Input/output error": 5,
    "No such device": 19,
}

# Lines that hold one of these are looked at; of a long log most do not, and are only counted. (`scan` searches bytes.)
LITERALS: tuple[str, ...] = tuple(dict.fromkeys(message.literal for message in MESSAGES))


# Of these a line may hold several, where line ends were lost.
SEVERAL = frozenset({"cma_failed", "contig_busy"})


Found = tuple[tuple[Message, re.Match[str]], ...]


@lru_cache(maxsize=64)  # a line is read to see whether it goes on, and again when it is taken
def messages_in(text: str) -> Found:
    """The messages in the text of a line in their order, at most one of each kind but of SEVERAL."""
    found: list[tuple[Message, re.Match[str]]] = []
    for message in MESSAGES:
        if message.literal not in text or any(other.kind == message.kind for other, _ in found):
            continue
        for match in message.pattern.finditer(text):
            found.append((message, match))
            if message.kind not in SEVERAL:
                break
    return tuple(sorted(found, key=lambda one: one[1].start()) if len(found) > 1 else found)
