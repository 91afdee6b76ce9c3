"""The compiled loop over lines of trace text: who, where, when, which event, and its fields, straight into columns.

It takes what is written as the kernel writes it and passes over everything else, which `text_trace_lines` reads with
patterns. It has no grammar of its own for words: tasks, events and words it meets are looked up in tables of what the
patterns have read before (`text_known`), and how the fields of an event follow each other is a list of steps
(`text_steps`).

Text is compared eight bytes at a time: `words` is the same memory as `raw`, one number per byte it may begin at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tracereplay.compiled import inlined, njit
from tracereplay.parsers.text_kernels import is_digit, is_word

if TYPE_CHECKING:
    Int = int | np.int64
    Bool = bool | np.bool_
    Word = np.uint64
    U8 = npt.NDArray[np.uint8]
    I16 = npt.NDArray[np.int16]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]
    U64 = npt.NDArray[np.uint64]

BLANK, NEWLINE, COLON, DOT, DASH, COMMA = (ord(char) for char in " \n:.-,")
LEFT, RIGHT, OPEN, CLOSE, LESS, EQUAL, MORE = (ord(char) for char in "[]()<=>")
ZERO, NINE, SMALL_A, SMALL_F, SMALL_X, NIL = (ord(char) for char in "09afxN")
COMM_BYTES = 16  # TASK_COMM_LEN
# No word that is looked up is longer, nor what stands before a line's stamp.
LONGEST = 256
# Text goes on for so many bytes behind its last line, so that eight may be looked at anywhere.
BEHIND = LONGEST + 16

# Columns of `known`: where a text lies (in words of eight bytes), its length, the table it is in, what it stands for,
# and whether lines with it are left to the patterns.
AT, LENGTH, SPACE, VALUE, LEFT_OUT = range(5)
KNOWN_FIELDS = 5
TASKS, EVENTS, WORDS = 0, 1, 2  # spaces; words of a column have one of their own, from WORDS on
# Rows of `rows`: the line's number, codes of its task and event, its flags (UNTOLD = it has none), its time, the
# program that took its fields (-1 = none), and where its payload lies if none did.
LINE, TASK, EVENT, FLAGS, TIME, PROGRAM, BEGIN, END = range(8)
ROW_FIELDS = 8
UNTOLD = -1
# Columns of `steps`: the literal before a value (from, to in `literals`; bytes), what the value is, what of it is
# allowed (TEXT: how many bytes at its end belong to the next literal, or COMMAS_BEHIND are no part of it), the space of
# its words, and its column (-1 = none).
FIRST_LITERAL, LAST_LITERAL, LITERAL_BYTES, KIND, ALLOWED, WORD_SPACE, COLUMN = range(7)
STEP_FIELDS = 7
COMMAS_BEHIND = -1
# Kinds of values: none; a number; a word, or the rest of the line, that stands for a number; text; one that is passed
# over; a pointer to a page that is passed over if it is none of those that mean NULL.
NOTHING, NUMBER, WORD, REST, TEXT, PASSED, PAGE = range(7)
# A text's cell: where it begins, and its length in the lowest bits.
TEXT_BITS = 16
# What a number may be.
DECIMAL, NEGATIVE, PREFIXED, BARE_HEX, COMMAS, UNSIGNED, IS_PFN, IN_BYTES = (1 << bit for bit in range(8))
# Places in `state`: where the text goes on, how much of everything there is, and what was met that is not known.
PLACE, LINES, TAKEN, OTHERS, FRAMES, PREFIX, TICKS, NEW_BEGIN, NEW_END, NEW_SPACE, NEW_PAYLOAD = range(11)
STATE_FIELDS = 11
# What `take_lines` returns: all is done; no room for more rows; a text to read.
DONE, FULL, NEW = range(3)

U0, U1, U7, U8_, U29, U56 = (np.uint64(number) for number in (0, 1, 7, 8, 29, 56))
EACH_LOW, EACH_HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
BLANKS, NEWLINES, COLONS, RIGHTS = (np.uint64(ord(char) * 0x0101010101010101) for char in " \n:]")
MIX, MIX_SPACE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@inlined
def _zeros(word: Word) -> Word:
    """The top bit of the lowest byte that is zero (higher bytes: perhaps others too); 0 where none is."""
    return (word - EACH_LOW) & ~word & EACH_HIGH


@inlined
def _bytes_below(mark: Word) -> Int:
    """How many bytes lie below the lowest one marked."""
    low = mark & (~mark + U1)
    return np.int64((((low >> U7) - U1) & EACH_LOW) * EACH_LOW >> U56)


@inlined
def _mixed(key: Word, word: Word) -> Word:
    key = (key ^ word) * MIX
    return key ^ key >> U29


@inlined
def _first_bytes(word: Word, count: Int) -> Word:
    """The first 0 to 7 bytes of a word."""
    return word & ((U1 << np.uint64(8 * count)) - U1)


@inlined
def _key(words: U64, begin: Int, length: Int, space: Int) -> Word:
    """A number for a text by which it is found."""
    key = np.uint64(space) * MIX_SPACE
    whole = length // 8
    for i in range(whole):
        key = _mixed(key, words[begin + 8 * i])
    if length % 8:
        key = _mixed(key, _first_bytes(words[begin + 8 * whole], length % 8))
    return key


@inlined
def _found(words: U64, begin: Int, length: Int, space: Int, key: Word, slots: I32, known: I64, texts: U64) -> Int:
    """The row of a text in `known`; -1 = it is not there. slots int32[a power of two] -- row + 1, 0 = free."""
    mask = np.uint64(len(slots) - 1)
    slot = (key ^ key >> np.uint64(32)) & mask
    whole = length // 8
    while slots[slot] != 0:
        row = slots[slot] - 1
        if known[row, LENGTH] == length and known[row, SPACE] == space:
            at = known[row, AT]
            same = True
            for i in range(whole):
                if texts[at + i] != words[begin + 8 * i]:
                    same = False
                    break
            if same and (length % 8 == 0 or texts[at + whole] == _first_bytes(words[begin + 8 * whole], length % 8)):
                return row
        slot = (slot + U1) & mask
    return -1


@inlined
def _noted(
    words: U64, begin: Int, length: Int, space: Int, key: Word, slots: I32, known: I64, texts: U64, used: I64
) -> Int:
    """Add a text that is not known; its row, -1 = there is no room. used int64[2] -- rows, words of `texts`."""
    row, at = used[0], used[1]
    size = (length + 7) // 8
    if row >= len(known) or at + size > len(texts):
        return -1
    for i in range(length // 8):
        texts[at + i] = words[begin + 8 * i]
    if length % 8:
        texts[at + size - 1] = _first_bytes(words[begin + 8 * (size - 1)], length % 8)
    mask = np.uint64(len(slots) - 1)
    slot = (key ^ key >> np.uint64(32)) & mask
    while slots[slot] != 0:
        slot = (slot + U1) & mask
    slots[slot] = row + 1
    known[row, AT], known[row, LENGTH], known[row, SPACE] = at, length, space
    known[row, VALUE], known[row, LEFT_OUT] = row, 0
    used[0], used[1] = row + 1, at + size
    return row


@njit
def note(words: U64, length: Int, space: Int, slots: I32, known: I64, texts: U64, used: I64) -> Int:
    """Add the text that `words` begin with; its row, -1 = there is no room. `slots` are never full."""
    key = _key(words, 0, length, space)
    row = _found(words, 0, length, space, key, slots, known, texts)
    return row if row >= 0 else _noted(words, 0, length, space, key, slots, known, texts, used)


@inlined
def _task_end(raw: U8, begin: Int) -> Int:
    """Where `comm-tid (tgid) [cpu]` that begins here ends (behind the bracket), -1 = it is not written plainly."""
    at = begin
    while raw[at] != LEFT:
        char = raw[at]
        if char == RIGHT or char >= 127 or char < BLANK or (char == COLON and raw[at + 1] == BLANK):
            return -1
        at += 1
    bracket = at
    at += 1
    while is_digit(raw[at]):
        at += 1
    if raw[at] != RIGHT or not 1 <= at - bracket - 1 <= 4:
        return -1
    behind = at + 1
    at = bracket - 1
    if at <= begin or raw[at] != BLANK:
        return -1
    while at > begin and raw[at] == BLANK:
        at -= 1
    if raw[at] == CLOSE:
        closed = at
        at -= 1
        while at > begin and raw[at] != OPEN:
            if not (is_digit(raw[at]) or raw[at] == BLANK or raw[at] == DASH):
                return -1
            at -= 1
        if not 1 <= closed - at - 1 <= 9 or at <= begin or raw[at - 1] != BLANK:
            return -1
        at -= 1
        while at > begin and raw[at] == BLANK:
            at -= 1
    last = at
    while at > begin and is_digit(raw[at]):
        at -= 1
    if raw[at] != DASH or not 1 <= last - at <= 9 or not 1 <= at - begin <= COMM_BYTES:
        return -1
    return behind


@inlined
def _line_end(words: U64, begin: Int) -> Int:
    """Where the line that goes on here ends (at its newline)."""
    at = begin
    while True:
        mark = _zeros(words[at] ^ NEWLINES)
        if mark != U0:
            return at + _bytes_below(mark)
        at += 8


@inlined
def _payload_end(raw: U8, words: U64, begin: Int) -> Int:
    """The same; -1 = another writer's line may be within (`] `), or what is not ASCII."""
    at = begin
    torn = False
    while True:
        word = words[at]
        mark = _zeros(word ^ NEWLINES)
        if (_zeros(word ^ RIGHTS) | word & EACH_HIGH) != U0:
            for i in range(8):
                if raw[at + i] == NEWLINE:
                    break
                if raw[at + i] > 127 or (raw[at + i] == RIGHT and raw[at + i + 1] == BLANK):
                    torn = True
        if mark != U0:
            return -1 if torn else at + _bytes_below(mark)
        at += 8


@inlined
def _word_end(words: U64, begin: Int) -> Int:
    """The first blank or newline from here on."""
    at = begin
    while True:
        word = words[at]
        mark = _zeros(word ^ BLANKS) | _zeros(word ^ NEWLINES)
        if mark != U0:
            return at + _bytes_below(mark)
        at += 8


@inlined
def _frame_end(raw: U8, words: U64, begin: Int) -> Int:
    """Where the function of a stack ends that begins here: one word, its address in brackets behind it perhaps; -1 =
    it is written otherwise."""
    end = _word_end(words, begin)
    at = end
    if raw[at] == BLANK and raw[at + 1] == OPEN:
        at += 2
        while is_digit(raw[at]) or SMALL_A <= raw[at] <= SMALL_F:
            at += 1
        if raw[at] != CLOSE or raw[at - 1] == OPEN:
            return -1
        at += 1
    for i in range(begin, end):
        if not BLANK < raw[i] < 127:
            return -1
    return end if raw[at] == NEWLINE else -1


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
    programs: I64,
    first_program: I64,
    steps: I64,
    literals: U64,
    state: I64,
    rows: I64,
    cells: I64,
    filled: I64,
    others: I64,
    frames: I64,
) -> Int:
    """Take the lines of raw[:stop] apart from state[PLACE] on; returns DONE, FULL or NEW (the line is begun anew).

    Event lines are `comm-tid (tgid) [cpu] flags secs.parts: event: payload`; their order is that of the text.
    stop -- behind a newline; raw goes on for BEHIND bytes. words uint64[bytes - 7].
    letters int16[5, 256] -- bits of the flags column's letters by place, -1 = none of them.
    task_slots, tasks, task_texts, tasks_used -- the table of tasks (see `_found`, `_noted`), added to here; slots,
    known, texts -- that of events and words, read only; rooms int64[spaces] -- how many more may be asked for.
    programs int64[programs, 4] -- first and behind the last step, the first row of its cells, the next program to try;
    first_program int64[events]; steps, literals (a literal's bytes and which of them count) -- see STEP_FIELDS.
    rows int64[ROW_FIELDS, rows]; cells int64[columns, rows] -- of each program: row, then its values, a column each;
    filled int64[programs] -- how many of these. others, frames int64[lines, 3] -- number, begin and end of lines that
    are no plain events, and of functions in stacks.
    """
    at = state[PLACE]
    line, row = state[LINES], state[TAKEN]
    other, frame = state[OTHERS], state[FRAMES]
    prefix = state[PREFIX]
    room, other_room = rows.shape[1], len(others)
    status = DONE
    while at < stop:
        if row >= room or other >= other_room or frame >= other_room:
            status = FULL
            break
        begin = at
        plain = False
        # the task: mostly as long as that of the line before
        task = -1
        if prefix > 0:
            key = _key(words, begin, prefix, TASKS)
            task = _found(words, begin, prefix, TASKS, key, task_slots, tasks, task_texts)
        if task < 0:
            start = begin
            while raw[start] == BLANK:
                start += 1
            first = raw[start]
            if is_word(first) or first == LESS:
                bracket = _task_end(raw, start)
                if 0 <= bracket <= begin + LONGEST:
                    prefix = bracket - begin
                    key = _key(words, begin, prefix, TASKS)
                    task = _found(words, begin, prefix, TASKS, key, task_slots, tasks, task_texts)
                    if task < 0:
                        task = _noted(words, begin, prefix, TASKS, key, task_slots, tasks, task_texts, tasks_used)
                        if task < 0:
                            status = FULL
                            break
            elif first == NEWLINE:
                line += 1
                at = start + 1
                continue
            elif first == EQUAL and raw[start + 1] == MORE and raw[start + 2] == BLANK:
                end = _frame_end(raw, words, start + 3)
                if end >= 0:
                    frames[frame, 0], frames[frame, 1], frames[frame, 2] = line, start + 3, end
                    frame += 1
                    line += 1
                    at = _line_end(words, end) + 1
                    continue
        # flags and time
        flags = UNTOLD
        time = np.int64(0)
        ticks = False
        if task >= 0 and raw[begin + prefix] == BLANK:
            at = begin + prefix
            while raw[at] == BLANK:
                at += 1
            plain = True
            if not is_digit(raw[at]):
                plain = False
                low = letters[0, raw[at]] | letters[1, raw[at + 1]] | letters[2, raw[at + 2]]
                high = letters[3, raw[at + 3]]
                if low >= 0 and high >= 0:
                    at += 4
                    more = letters[4, raw[at]]
                    if more >= 0:
                        at += 1
                    else:
                        more = 0
                    flags = np.int64(more) << 12 | np.int64(high) << 8 | np.int64(low)
                    plain = raw[at] == BLANK
                    while raw[at] == BLANK:
                        at += 1
            digits = at
            while is_digit(raw[at]) and at - digits < 18:
                time = time * 10 + (np.int64(raw[at]) - ZERO)
                at += 1
            if raw[at] == DOT:
                plain = plain and 1 <= at - digits <= 9
                at += 1
                digits = at
                if plain:
                    while is_digit(raw[at]) and at - digits < 10:
                        time = time * 10 + (np.int64(raw[at]) - ZERO)
                        at += 1
                    plain = 1 <= at - digits <= 9
                    for _ in range(9 - (at - digits)):
                        time *= 10
            else:
                ticks = True
                plain = plain and 1 <= at - digits <= 18
            plain = plain and raw[at] == COLON and raw[at + 1] == BLANK
        if plain:
            # the event
            at += 2
            name = at
            if raw[at] == LESS:
                while raw[at] != MORE and raw[at] != NEWLINE and at - name < LONGEST:
                    at += 1
                at += 1
                payload = at
                plain = raw[at - 1] == MORE and raw[at] == NEWLINE
            else:
                while True:
                    mark = _zeros(words[at] ^ COLONS) | _zeros(words[at] ^ NEWLINES)
                    if mark != U0:
                        at += _bytes_below(mark)
                        break
                    at += 8
                payload = at + 2 if raw[at + 1] == BLANK else at + 1
                plain = raw[at] == COLON and (raw[at + 1] == BLANK or raw[at + 1] == NEWLINE)
            length = at - name
            plain = plain and 0 < length <= LONGEST
        if plain:
            key = _key(words, name, length, EVENTS)
            found = _found(words, name, length, EVENTS, key, slots, known, texts)
            if found < 0 and rooms[EVENTS] > 0:
                state[NEW_BEGIN], state[NEW_END], state[NEW_SPACE], state[NEW_PAYLOAD] = name, at, EVENTS, payload
                at = begin
                status = NEW
                break
            plain = found >= 0 and known[found, LEFT_OUT] == 0
        if plain:
            event = known[found, VALUE]
            # its fields, by the first program that fits
            program = first_program[event]
            new_word = False
            while program >= 0:
                at = payload
                while raw[at] == BLANK:
                    at += 1
                cell = programs[program, 2]
                n = filled[program]
                good = True
                for step in range(programs[program, 0], programs[program, 1]):
                    literal = steps[step, FIRST_LITERAL]
                    for i in range(literal, steps[step, LAST_LITERAL]):
                        if words[at + 8 * (i - literal)] & literals[i, 1] != literals[i, 0]:
                            good = False
                            break
                    if not good:
                        break
                    at += steps[step, LITERAL_BYTES]
                    kind = steps[step, KIND]
                    value = np.int64(0)
                    if kind == NUMBER:
                        allowed = steps[step, ALLOWED]
                        negative = False
                        if raw[at] == DASH and allowed & NEGATIVE:
                            negative = True
                            at += 1
                        number = U0
                        if allowed & BARE_HEX or (raw[at] == ZERO and raw[at + 1] == SMALL_X):
                            if raw[at] == ZERO and raw[at + 1] == SMALL_X:
                                if negative or not allowed & PREFIXED:
                                    good = False
                                    break
                                at += 2
                            digits = at
                            while at - digits < 17:
                                char = raw[at]
                                if is_digit(char):
                                    number = number << np.uint64(4) | np.uint64(char - ZERO)
                                elif SMALL_A <= char <= SMALL_F:
                                    number = number << np.uint64(4) | np.uint64(char - SMALL_A + 10)
                                else:
                                    break
                                at += 1
                            good = 1 <= at - digits <= 16
                        else:
                            digits = at
                            while is_digit(raw[at]) and at - digits < 19:
                                number = number * np.uint64(10) + np.uint64(raw[at] - ZERO)
                                at += 1
                            good = allowed & DECIMAL != 0 and 1 <= at - digits <= 18
                        value = -np.int64(number) if negative else np.int64(number)
                        if allowed & COMMAS:
                            while raw[at] == COMMA:
                                at += 1
                        if allowed & UNSIGNED == 0 and np.int64(number) < 0:
                            good = False
                        if allowed & IS_PFN and value == -1:
                            good = False
                        if allowed & IN_BYTES:
                            if value < 0:
                                good = False
                            else:
                                value //= page_size_bytes
                        if not good:
                            break
                    elif kind == WORD or kind == REST:
                        start = at
                        space = steps[step, WORD_SPACE]
                        at = _word_end(words, at) if kind == WORD else _line_end(words, at)
                        length = at - start
                        if length > LONGEST:
                            good = False
                            break
                        key = _key(words, start, length, space)
                        found = _found(words, start, length, space, key, slots, known, texts)
                        if found < 0:
                            state[NEW_BEGIN], state[NEW_END], state[NEW_SPACE] = start, at, space
                            new_word = rooms[space] > 0
                            good = False
                            break
                        if known[found, LEFT_OUT]:
                            good = False
                            break
                        value = known[found, VALUE]
                    elif kind == TEXT:
                        start = at
                        while BLANK < raw[at] < 127 and at - start <= LONGEST:
                            at += 1
                        if at - start > LONGEST or not (raw[at] == BLANK or raw[at] == NEWLINE):
                            good = False
                            break
                        end = at - max(steps[step, ALLOWED], 0)
                        if steps[step, ALLOWED] == COMMAS_BEHIND:
                            while end > start and raw[end - 1] == COMMA:
                                end -= 1
                        else:
                            at = end
                        if end < start or (end > start and raw[end - 1] == RIGHT):
                            good = False
                            break
                        value = start << TEXT_BITS | (end - start)
                    elif kind != NOTHING:
                        start = at
                        at = _word_end(words, at)
                        if at == start or raw[at - 1] == RIGHT:
                            good = False
                            break
                        if kind == PAGE:  # whose NULL is another step's: not zeros, (nil), (null) or NULL
                            if raw[start] == ZERO and raw[start + 1] == SMALL_X:
                                start += 2
                            while raw[start] == ZERO:
                                start += 1
                            if start == at or raw[start] == OPEN or raw[start] == NIL or raw[start] == COMMA:
                                good = False
                                break
                    column = steps[step, COLUMN]
                    if column >= 0:
                        cells[cell + column, n] = value
                if good:
                    while raw[at] == BLANK:
                        at += 1
                    good = raw[at] == NEWLINE
                if good:
                    cells[cell, n] = row
                    filled[program] = n + 1
                    break
                if new_word:
                    break
                program = programs[program, 3]
            if new_word:
                at = begin
                status = NEW
                break
            end = at
            if program < 0:
                end = _payload_end(raw, words, payload)
            if end >= 0:
                rows[LINE, row], rows[TASK, row], rows[EVENT, row] = line, task, event
                rows[FLAGS, row], rows[TIME, row], rows[PROGRAM, row] = flags, time, program
                rows[BEGIN, row], rows[END, row] = payload, end
                if row == 0:
                    state[TICKS] = ticks
                row += 1
                line += 1
                at = end + 1
                continue
        end = _line_end(words, begin)
        others[other, 0], others[other, 1], others[other, 2] = line, begin, end
        other += 1
        line += 1
        at = end + 1
    state[PLACE], state[LINES], state[TAKEN], state[PREFIX] = at, line, row, prefix
    state[OTHERS], state[FRAMES] = other, frame
    return status
