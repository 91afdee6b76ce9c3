"""Migrations of single folios: which were refused, with the count that refused them, and which moved.

move_to_new_folio() sees the folio unmapped: of its _refcount one is the isolation's, the page cache's are known, the
rest others hold. A pinned anonymous folio does not come that far: try_to_migrate() leaves it mapped (6.12; measured).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracereplay.parsers.catalog.probes import Role, Slot
from tracereplay.parsers.probes.folios import Folios
from tracereplay.parsers.probes.part import Part, part_of_rows
from tracereplay.parsers.probes.rows import NOT_FETCHED, Ints, Mask, ProbeRows, following
from tracereplay.schema import COUNT, FLAGS, MAPCOUNT, MAPPING, ORDER, RET, VAL, Op

BIAS = 1024  # GUP_PIN_COUNTING_BIAS
PAGE_MAPPING_ANON = 1
PAGE_MAPPING_FLAGS = 3  # 3: KSM
PG_LOCKED = 1  # bit 0 in every kernel: at the move it is the migrator's own lock
ISOLATION = 1  # the migrator's reference
EAGAIN = 11
# VAL of a refused move: what showed it.
BY_MOVE, BY_UNMAP, BY_DUMP, BY_ISOLATION = range(4)


def refused_and_moved(rows: Sequence[ProbeRows], folios: Folios) -> list[Part]:
    """An entry for each folio that was refused, at the event that read its count, and for each that moved."""
    by_role = {role: [one for one in rows if one.role is role] for role in Role}
    parts = _moves(by_role[Role.MOVE], by_role[Role.MOVE_RESULT], folios)
    results = [one for one in by_role[Role.UNMAP_RESULT] if one.pages is not None]
    if results:
        parts += [_left_mapped(one, folios) for one in results]
    else:
        parts += _never_moved(by_role[Role.UNMAP], by_role[Role.MOVE], folios)
    parts += [_dumped(one, folios) for one in by_role[Role.DUMP]]
    return [part for part in parts if len(part)]


def _joined(rows: Sequence[ProbeRows], name: str) -> Ints:
    return np.concatenate([getattr(one, name) for one in rows]) if rows else np.empty(0, np.int64)


def _moves(entries: Sequence[ProbeRows], results: Sequence[ProbeRows], folios: Folios) -> list[Part]:
    """Each entry with the result that the same task's next event of these probes tells."""
    if not entries or not results:
        return []
    both = [*entries, *results]
    tid, seq = _joined(both, "tid"), _joined(both, "seq")
    entered = np.concatenate([np.full(len(one), one.role is Role.MOVE) for one in both])
    after = following([tid], seq)
    paired = entered & (after >= 0)
    paired[paired] &= ~entered[after[paired]]
    # A kretprobe misses returns when its instances are used up, and entries when it was armed late: where both events
    # name the folio it must be the same.
    folio = np.concatenate([_folios(one) for one in both])
    paired[paired] &= (folio[after[paired]] == folio[paired]) | (folio[after[paired]] == NOT_FETCHED)
    result = np.concatenate([one.get(Slot.RESULT) for one in both])
    time, cpu = _joined(both, "time_ns"), _joined(both, "cpu")
    irq = np.concatenate([one.irq for one in both])
    parts, start = [], 0
    for one in entries:
        mine = np.flatnonzero(paired[start : start + len(one)])
        ended = after[start + mine]
        start += len(one)
        whole = part_of_rows(one, folios.heads(one)[mine], folios, mine)
        refused, moved = result[ended] < 0, result[ended] == 0
        parts.append(_refused(whole, one, mine, refused, result[ended]))
        gone = Part(seq[ended], time[ended], cpu[ended], tid[ended], irq[ended], whole.op, whole.args.copy()).take(
            moved
        )
        gone.op[:] = Op.PROBE_MOVED
        parts.append(gone.kept())
    return parts


def _folios(rows: ProbeRows) -> Ints:
    """The folio that each event names; NOT_FETCHED where it names none."""
    return np.full(len(rows), NOT_FETCHED, np.int64) if rows.pages is None else rows.pages


def _refused(whole: Part, rows: ProbeRows, places: Ints, refused: Mask, result: Ints) -> Part:
    whole.op[:] = Op.PROBE_REFUSED
    count = rows.get(Slot.COUNT)[places]
    whole.args[:, COUNT] = count - ISOLATION
    whole.args[:, MAPCOUNT] = rows.get(Slot.MAPCOUNT, -1)[places]
    whole.args[:, MAPPING] = rows.get(Slot.MAPPING, 0)[places]
    whole.args[:, FLAGS] = rows.get(Slot.PAGE_FLAGS, 0)[places] & ~PG_LOCKED
    whole.args[:, VAL], whole.args[:, RET] = BY_MOVE, result
    return whole.take(refused & (count > 0) & (result != NOT_FETCHED)).kept()


def _by_pins(rows: ProbeRows, folios: Folios, count: Ints, mapcount: Ints, chosen: Mask, how: int) -> Part:
    """Refused with this count: of a small folio, whose pins show in it. Only anonymous ones are refused for pins."""
    part = part_of_rows(rows, folios.heads(rows), folios)
    part.op[:] = Op.PROBE_REFUSED
    part.args[:, COUNT], part.args[:, MAPCOUNT], part.args[:, MAPPING] = count, mapcount, PAGE_MAPPING_ANON
    part.args[:, VAL], part.args[:, RET] = how, -EAGAIN
    return part.take(chosen & (part.args[:, ORDER] == 0) & (count - (mapcount + 1) >= BIAS)).kept()


def _left_mapped(rows: ProbeRows, folios: Folios) -> Part:
    """Folios that try_to_migrate() left mapped."""
    count, mapcount = rows.get(Slot.COUNT), rows.get(Slot.MAPCOUNT, -1)
    return _by_pins(rows, folios, count - ISOLATION, mapcount, mapcount >= 0, BY_UNMAP)


def _never_moved(unmaps: Sequence[ProbeRows], moves: Sequence[ProbeRows], folios: Folios) -> list[Part]:
    """Without the return of try_to_migrate(): folios that it was to move, and that the task did not move then."""
    if not unmaps:
        return []
    both = [*unmaps, *moves]
    pfn = np.concatenate([folios.heads(one) for one in both])
    is_unmap = np.concatenate([np.full(len(one), one.role is Role.UNMAP) for one in both])
    after = following([_joined(both, "tid"), pfn], _joined(both, "seq"))
    again = is_unmap & (after >= 0)
    again[again] &= is_unmap[after[again]]  # the last one's end is not known: the trace may end before it
    parts, start = [], 0
    for one in unmaps:
        chosen = again[start : start + len(one)]
        start += len(one)
        count = one.get(Slot.COUNT) - ISOLATION
        parts.append(_by_pins(one, folios, count, one.get(Slot.MAPCOUNT, -1), chosen, BY_UNMAP))
    return parts


def _dumped(rows: ProbeRows, folios: Folios) -> Part:
    """Pages that dump_page() printed because they did not migrate. Mappings are not fetched: the pins alone count."""
    failed = np.array([reason == "migration failure" for reason in rows.reasons], bool)
    if len(failed) != len(rows):
        return Part.joined([])
    count = rows.get(Slot.COUNT)
    return _by_pins(rows, folios, count // BIAS * BIAS, np.full(len(rows), -1), failed, BY_DUMP)


def not_isolated(rows: ProbeRows, folios: Folios, swap_cache: int) -> Part:
    """Anonymous folios that isolate_migratepages_block() skipped because of their count.

    swap_cache -- page flags that a folio in the swap cache has: it has a mapping, and is not refused here. Large folios
    are left out: their mapcount is not in the word fetched.
    """
    part = part_of_rows(rows, folios.heads(rows), folios)
    count, mapcount = rows.get(Slot.COUNT), rows.get(Slot.MAPCOUNT)
    mapping, flags, following_word = rows.get(Slot.MAPPING), rows.get(Slot.PAGE_FLAGS), rows.get(Slot.NEXT_HEAD_WORD)
    fetched = np.logical_and.reduce([one != NOT_FETCHED for one in (count, mapcount, mapping, flags, following_word)])
    anonymous = mapping & PAGE_MAPPING_FLAGS == PAGE_MAPPING_ANON
    cached = flags & swap_cache == swap_cache
    small = (following_word & 1 == 0) & (part.args[:, ORDER] == 0)
    part.op[:] = Op.PROBE_REFUSED
    part.args[:, COUNT], part.args[:, MAPCOUNT] = count - ISOLATION, mapcount
    part.args[:, MAPPING], part.args[:, FLAGS] = mapping, flags
    part.args[:, VAL], part.args[:, RET] = BY_ISOLATION, -EAGAIN
    skipped = (mapcount >= -1) & (count - ISOLATION > mapcount + 1)
    return part.take(fetched & anonymous & ~cached & small & skipped).kept()
