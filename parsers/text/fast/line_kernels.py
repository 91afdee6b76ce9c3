"""The compiled loop over lines of trace text: who, where, when, which event, and its fields, straight into columns.

It takes what is written as the kernel writes it and passes over everything else, which `lines_ftrace` reads with
patterns. It has no grammar of its own for words: tasks, events and words it meets are looked up in tables of what the
patterns have read before (`intern`), and how the fields of an event follow each other is a list of steps
(`templates`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.text.fast.intern_kernels import (
    AT,
    LENGTH,
    LONGEST,
    USE_PATTERNS,
    VALUE,
    char_at,
    end_at,
    find,
    insert,
    line_end,
    stands,
    word_at,
    word_end,
)
from tracereplay.parsers.text.fast.value_kernels import (
    IN_BYTES,
    MISSING,
    bracketed_end,
    frame_end,
    pass_word,
    payload_end,
    read_flags,
    read_number,
    read_stamp,
    read_text,
    task_end,
)
from tracereplay.parsers.text.fast.word_kernels import is_digit, is_word

if TYPE_CHECKING:
    Int = int | np.int64
    Bool = bool | np.bool_
    U8 = npt.NDArray[np.uint8]
    I16 = npt.NDArray[np.int16]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]
    U64 = npt.NDArray[np.uint64]

BLANK, NEWLINE, COLON, LESS, EQUAL, MORE = (ord(char) for char in " \n:<=>")
COLONS = np.uint64(COLON * 0x0101010101010101)

# Namespaces of interned texts; words of a column have one of their own, from WORDS on.
TASKS, EVENTS, WORDS = 0, 1, 2
# Rows of `rows`: the line's number, codes of its task and event, its flags (MISSING = it has none), its time, the
# template that took its fields (-1 = none), and where its payload is.
LINE, TASK, EVENT, FLAGS, TIME, TEMPLATE, BEGIN, END = range(8)
ROW_FIELDS = 8
# Columns of `steps`: the literal before a value (from, to in `literals`; bytes), what the value is, what of it is
# allowed (see `read_number`, `read_text`), the namespace of its words, and its column (-1 = none).
FIRST_LITERAL, LAST_LITERAL, LITERAL_BYTES, KIND, ALLOWED, WORD_NAMESPACE, COLUMN = range(7)
STEP_FIELDS = 7
# Kinds of values: none; a number; a word, or the rest of the line, that stands for a number; text; one that is passed
# over; a pointer to a page that is passed over if it is none of those that mean NULL.
NOTHING, NUMBER, WORD, REST, TEXT, PASSED, PAGE = range(7)
# Places in `state`: where the text goes on, how much of everything there is, and what was met that is not known.
PLACE, LINES, TAKEN, OTHERS, FRAMES, TICKS, NEW_BEGIN, NEW_END, NEW_NAMESPACE, NEW_PAYLOAD = range(10)
STATE_FIELDS = 10
# What `take_lines` returns: all is done; no room for more rows; a text to read.
DONE, FULL, NEW = range(3)


@inlined
def _name_end(words: U64, begin: Int) -> Int:
    """Where the name of an event ends that begins here: at a colon, or with the line."""
    return end_at(words, begin, COLONS)


@inlined
def _literal_stands(words: U64, at: Int, first: Int, end: Int, literals: U64) -> Bool:
    """Whether literals[first:end], eight bytes each, stand here."""
    for i in range(first, end):  # noqa: SIM110 (numba compiles no all() of these)
        if word_at(words, at + 8 * (i - first)) & literals[i, 1] != literals[i, 0]:
            return False
    return True


@inlined
def _known_word(
    raw: U8, words: U64, begin: Int, is_rest: Bool, guess: Int, namespace: Int, slots: I32, known: I64, texts: U64
) -> tuple[Int, Int]:
    """(its row in `known`, where it ends) of the word, or the rest of the line, that begins here; row -1 = not known.

    guess -- the row it may well be, -1 = none.
    """
    if guess >= 0 and stands(words, begin, known[guess, LENGTH], known[guess, AT], texts):
        end = begin + known[guess, LENGTH]
        if char_at(raw, end) == NEWLINE or (not is_rest and char_at(raw, end) == BLANK):
            return guess, end
    end = line_end(words, begin) if is_rest else word_end(words, begin)
    if end - begin > LONGEST:
        return np.int64(-1), end
    return find(words, begin, end - begin, namespace, slots, known, texts), end


@inlined
def _known_task(words: U64, begin: Int, last: Int, slots: I32, tasks: I64, texts: U64) -> Int:
    """The task that the line begins with, if it is the last line's or one as long; -1 = another one."""
    if last < 0:
        return np.int64(-1)
    if stands(words, begin, tasks[last, LENGTH], tasks[last, AT], texts):
        return last
    return find(words, begin, tasks[last, LENGTH], TASKS, slots, tasks, texts)


@inlined
def _interned_task(raw: U8, words: U64, begin: Int, at: Int, slots: I32, tasks: I64, texts: U64, used: I64) -> Int:
    """The task whose name begins at `at`, interned; -1 = none stands there, -2 = no room for it."""
    bracket = task_end(raw, at)
    if not 0 <= bracket <= begin + LONGEST:
        return np.int64(-1)
    task = find(words, begin, bracket - begin, TASKS, slots, tasks, texts)
    if task >= 0:
        return task
    task = insert(words, begin, bracket - begin, TASKS, slots, tasks, texts, used)
    return task if task >= 0 else np.int64(-2)


@inlined
def _read_head(raw: U8, at: Int, letters: I16) -> tuple[Int, Int, Int, Int]:
    """(place of the event's name, flags, time, ticks) of a line after its task; place -1 = left to the slow path."""
    flags, time, ticks = np.int64(MISSING), np.int64(0), np.int64(0)
    plain = char_at(raw, at) == BLANK
    while char_at(raw, at) == BLANK:
        at += 1
    if not is_digit(char_at(raw, at)):
        at, flags = read_flags(raw, at, letters)
        plain = plain and at >= 0 and char_at(raw, at) == BLANK
        while plain and char_at(raw, at) == BLANK:
            at += 1
    if plain:
        at, time, ticks = read_stamp(raw, at)
        plain = at >= 0 and char_at(raw, at) == COLON and char_at(raw, at + 1) == BLANK
    return (at + 2 if plain else np.int64(-1)), flags, time, ticks


@inlined
def _name_and_payload(raw: U8, words: U64, name: Int) -> tuple[Int, Int]:
    """(end of the event's name, begin of its payload); the latter -1 = left to the slow path."""
    at = bracketed_end(raw, words, name) if char_at(raw, name) == LESS else _name_end(words, name)
    if char_at(raw, at) == COLON:
        payload = at + 2
        plain = char_at(raw, at + 1) == BLANK
    else:
        payload = at
        plain = char_at(raw, at) == NEWLINE and char_at(raw, at - 1) == MORE
    return at, (payload if plain and 0 < at - name <= LONGEST else np.int64(-1))


@inlined
def _read_value(
    raw: U8, words: U64, at: Int, step: Int, page_size_bytes: Int, steps: I64, slots: I32, known: I64, texts: U64,
    rooms: I64, state: I64, guesses: I64,
) -> tuple[Int, Int, Bool]:  # fmt: skip
    """(its end, the value, whether it is a new word) of a field; end -1 = the field is spelled in another way."""
    kind, allowed = steps[step, KIND], steps[step, ALLOWED]
    value = np.int64(0)
    is_new = False
    if kind == NUMBER:
        at, value = read_number(raw, at, allowed)
        if allowed & IN_BYTES:
            value //= page_size_bytes
    elif kind == TEXT:
        at, value = read_text(raw, at, allowed)
    elif kind == PASSED or kind == PAGE:
        at = pass_word(raw, words, at, kind == PAGE)
    elif kind != NOTHING:
        namespace = steps[step, WORD_NAMESPACE]
        word, end = _known_word(raw, words, at, kind == REST, guesses[step], namespace, slots, known, texts)
        if word >= 0:
            guesses[step] = word
        elif end - at <= LONGEST and rooms[namespace] > 0:
            state[NEW_BEGIN], state[NEW_END], state[NEW_NAMESPACE] = at, end, namespace
            is_new = True
        at = np.int64(-1)
        if word >= 0 and known[word, USE_PATTERNS] == 0:
            at, value = end, known[word, VALUE]
    return at, value, is_new


@inlined
def _fill_template(
    raw: U8, words: U64, payload: Int, row: Int, template: Int, page_size_bytes: Int, templates: I64, steps: I64,
    literals: U64, slots: I32, known: I64, texts: U64, rooms: I64, state: I64, cells: I64, filled: I64, guesses: I64,
) -> tuple[Int, Bool]:  # fmt: skip
    """(place of the newline, whether a word of it is new) if the template fits the payload, whose values are kept then.

    Place -1 = it does not fit.
    """
    at = payload
    while char_at(raw, at) == BLANK:
        at += 1
    cell, n = templates[template, 2], filled[template]
    for step in range(np.uint64(templates[template, 0]), np.uint64(templates[template, 1])):
        if not _literal_stands(words, at, steps[step, FIRST_LITERAL], steps[step, LAST_LITERAL], literals):
            return np.int64(-1), False
        at += steps[step, LITERAL_BYTES]
        at, value, is_new = _read_value(
            raw, words, at, step, page_size_bytes, steps, slots, known, texts, rooms, state, guesses
        )
        if at < 0:
            return np.int64(-1), is_new
        if steps[step, COLUMN] >= 0:
            cells[cell + steps[step, COLUMN], n] = value
    while char_at(raw, at) == BLANK:
        at += 1
    if char_at(raw, at) != NEWLINE:
        return np.int64(-1), False
    cells[cell, n] = row
    filled[template] = n + 1
    return at, False


@njit
def take_lines(
    raw: U8,
    words: U64,
    stop: Int,
    page_size_bytes: Int,
    letters: I16,
    task_slots: I32,
    tasks: I64,
    task_texts: U64,
    tasks_used: I64,
    slots: I32,
    known: I64,
    texts: U64,
    rooms: I64,
    templates: I64,
    first_template: I64,
    steps: I64,
    literals: U64,
    state: I64,
    rows: I64,
    cells: I64,
    filled: I64,
    others: I64,
    frames: I64,
    guesses: I64,
) -> Int:
    """Parse the lines of raw[:stop] from state[PLACE] on; returns DONE, FULL or NEW (the line is read again).

    Event lines are `comm-tid (tgid) [cpu] flags secs.parts: event: payload`; their order is that of the text.
    stop -- after a newline; raw goes on for SLACK_BYTES bytes. words uint64[bytes - 7].
    letters int16[5, 256] -- bits of the flags column's letters by place, -1 = none of them.
    task_slots, tasks, task_texts, tasks_used -- the table of tasks (see `find`, `insert`), added to here; slots,
    known, texts -- that of events and words, read only; rooms int64[spaces] -- how many more may be learnt.
    templates int64[templates, 4] -- its first step, the end of its steps, its first row of cells, the next template to
    try; first_template int64[events]; steps, literals (a literal's bytes and which of them count) -- see STEP_FIELDS.
    rows int64[ROW_FIELDS, rows]; cells int64[columns, rows] -- of each template: row, then its values, a column each;
    filled int64[templates] -- how many of these. others, frames int64[lines, 3] -- number, begin and end of lines that
    are no plain events, and of functions in stacks. guesses int64[steps] -- the word that each step met last, or -1.
    """
    at = state[PLACE]
    line, row, other, frame = state[LINES], state[TAKEN], state[OTHERS], state[FRAMES]
    room, other_room = rows.shape[1], len(others)
    status, last_task = DONE, np.int64(-1)
    while at < stop:
        if row >= room or other >= other_room or frame >= other_room:
            status = FULL
            break
        begin = at
        task = _known_task(words, begin, last_task, task_slots, tasks, task_texts)
        if task < 0:
            while char_at(raw, at) == BLANK:
                at += 1
            first = char_at(raw, at)
            if is_word(first) or first == LESS:
                task = _interned_task(raw, words, begin, at, task_slots, tasks, task_texts, tasks_used)
                if task == -2:
                    at = begin
                    status = FULL
                    break
            elif first == NEWLINE:
                line += 1
                at += 1
                continue
            elif first == EQUAL and char_at(raw, at + 1) == MORE and char_at(raw, at + 2) == BLANK:
                end = frame_end(raw, words, at + 3)
                if end >= 0:
                    frames[frame, 0], frames[frame, 1], frames[frame, 2] = line, at + 3, end
                    frame += 1
                    line += 1
                    at = line_end(words, end) + 1
                    continue
        found = payload = name_end = np.int64(-1)
        flags = time = ticks = np.int64(0)
        if task >= 0:
            last_task = task
            name, flags, time, ticks = _read_head(raw, begin + tasks[task, LENGTH], letters)
            if name >= 0:
                name_end, payload = _name_and_payload(raw, words, name)
            if payload >= 0:
                found = find(words, name, name_end - name, EVENTS, slots, known, texts)
                if found < 0 and rooms[EVENTS] > 0:
                    state[NEW_BEGIN], state[NEW_END] = name, name_end
                    state[NEW_NAMESPACE], state[NEW_PAYLOAD] = EVENTS, payload
                    at = begin
                    status = NEW
                    break
        if found >= 0 and known[found, USE_PATTERNS] == 0:
            event: Int = known[found, VALUE]
            template: Int = first_template[event]
            end = np.int64(-1)
            is_new = False
            while template >= 0 and end < 0 and not is_new:
                end, is_new = _fill_template(
                    raw, words, payload, row, template, page_size_bytes, templates, steps, literals, slots, known,
                    texts, rooms, state, cells, filled, guesses,
                )  # fmt: skip
                template = template if end >= 0 else templates[template, 3]
            if is_new:
                at = begin
                status = NEW
                break
            if template < 0:
                end = payload_end(raw, words, payload)
            if end >= 0:
                rows[LINE, row], rows[TASK, row], rows[EVENT, row] = line, task, event
                rows[FLAGS, row], rows[TIME, row], rows[TEMPLATE, row] = flags, time, template
                rows[BEGIN, row], rows[END, row] = payload, end
                if row == 0:
                    state[TICKS] = ticks
                row += 1
                line += 1
                at = end + 1
                continue
        end = line_end(words, begin)
        others[other, 0], others[other, 1], others[other, 2] = line, begin, end
        other += 1
        line += 1
        at = end + 1
    state[PLACE], state[LINES], state[TAKEN], state[OTHERS], state[FRAMES] = at, line, row, other, frame
    return status
