// The area of one attempt, summed up into cells of equal size; knows nothing of pixels.
const MAX_CELLS = 1024;
const STATE_NUMBERS = new Map(STATES.map(([name], number) => [name, number]));
const NOT_SEEN = STATE_NUMBERS.get("not_seen");
const HELD = STATE_NUMBERS.get("held");
const UNMAPPED = -1; // nothing is known of the cell, as where the attempt has no map

class AreaMap {
  constructor(attempt) {
    this.attempt = attempt;
    this.start = cell("attempts", "start_pfn", attempt);
    this.end = cell("attempts", "end_pfn", attempt);
    const byStart = (table) => (a, b) => TABLES[table].start_pfn[a] - TABLES[table].start_pfn[b];
    this.runs = range(...rowsOf(attempt, "map")).sort(byStart("map"));
    this.runsOfTry = new Map(this.runs.map((run) => [TABLES.map.try[run], []]));
    for (const run of this.runs) this.runsOfTry.get(TABLES.map.try[run]).push(run);
    this.uses = range(...rowsOf(attempt, "uses"));
    this.culprits = range(...rowsOf(attempt, "culprits")).sort(byStart("culprits"));
  }

  // The smallest power of two that shows [low, high) in at most MAX_CELLS cells.
  static cellPages(low, high) {
    return 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(high - low, 1) / MAX_CELLS)));
  }

  // The runs that stand for the state at a try (a row of the tries, null without tries).
  runsAt(tryRow) {
    return tryRow === null ? this.runs : this.runsOfTry.get(cell("tries", "shown_map", tryRow)) ?? [];
  }

  // Cells from `low` on, `pages` each: pages by state, culprit rows, pages by cause, those that block a try by cause and in all.
  cells(low, pages, number, tryRow) {
    const cells = range(0, number).map((place) => ({
      start: low + place * pages, pages, states: new Float64Array(STATES.length), uses: new Float64Array(USES.length), culprits: [], causes: new Map(), blocking: new Map(), now: 0,
    }));
    const spread = (start, length, add) => {
      const first = Math.max(0, Math.floor((start - low) / pages));
      const last = Math.min(number - 1, Math.floor((start + length - 1 - low) / pages));
      for (let place = first; place <= last; place += 1) {
        const from = Math.max(start, cells[place].start);
        add(cells[place], Math.min(start + length, cells[place].start + pages) - from);
      }
    };
    const { map, culprits } = TABLES;
    const tryIndex = tryRow === null ? null : cell("tries", "index", tryRow);
    for (const run of this.runsAt(tryRow)) {
      const state = STATE_NUMBERS.get(text(map.state[run]));
      if (state !== undefined) spread(map.start_pfn[run], map.pages[run], (to, many) => { to.states[state] += many; });
    }
    for (const run of this.uses) {
      const use = USE_NUMBERS.get(text(TABLES.uses.use[run]));
      if (use !== undefined) spread(TABLES.uses.start_pfn[run], TABLES.uses.pages[run], (to, many) => { to.uses[use] += many; });
    }
    for (const culprit of this.culprits) {
      const now = tryIndex === null || blockedTry(culprit, tryIndex); // without tries nothing is between them
      const place = CAUSES.get(culprits.cause[culprit]);
      spread(culprits.start_pfn[culprit], culprits.pages[culprit], (to, many) => {
        to.culprits.push(culprit);
        for (const causes of now ? [to.causes, to.blocking] : [to.causes]) causes.set(place, (causes.get(place) ?? 0) + many);
        if (now) to.now += many;
      });
    }
    return cells;
  }

  // The state most pages of a cell are in; seen states go before unseen ones.
  static mainState(of) {
    let best = UNMAPPED;
    for (let state = 0; state < NOT_SEEN; state += 1) {
      if (of.states[state] > (best < 0 ? 0 : of.states[best])) best = state;
    }
    return best >= 0 || !of.states[NOT_SEEN] ? best : NOT_SEEN;
  }

  // What most pages of a cell are used for, where no event tells more than that they are in use; null without a copy.
  static mainUse(of) {
    const state = AreaMap.mainState(of);
    if (state !== UNMAPPED && state !== HELD && state !== NOT_SEEN) return null;
    const known = range(0, USES.length).filter((use) => of.uses[use] && (use !== FREE_USE || state === UNMAPPED));
    return known.length ? known.reduce((best, use) => (of.uses[use] > of.uses[best] ? use : best)) : null;
  }

  // The cause of most pages; what blocks the shown try goes before what does not.
  static mainCause(of) {
    return [...(of.now ? of.blocking : of.causes)].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
  }

  // The next culprit page outside [low, high), in this direction; the first or last one when none is left.
  nextCulprit(from, direction) {
    const starts = this.culprits.map((row) => TABLES.culprits.start_pfn[row]);
    if (!starts.length) return null;
    if (direction > 0) return starts.find((start) => start > from) ?? starts[0];
    return starts.findLast((start) => start < from) ?? starts.at(-1);
  }
}
