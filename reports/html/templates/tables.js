// The tables of the report, and the tabs that choose between them.
const numbers = (table, name, column) => ({ name, kind: "number", of: (row) => cell(table, column, row) });
const words = (table, name, column, kind = "text") => ({ name, kind, of: (row) => cell(table, column, row) });
const pfns = (table, name, column) => ({ name, kind: "pfn", of: (row) => cell(table, column, row), show: (row) => pfnText(cell(table, column, row)) });
const durations = (table, name, column) => ({ name, kind: "duration", of: (row) => cell(table, column, row), show: (row) => durationText(cell(table, column, row)) });
const times = (table, name, column, attemptOf) => ({
  name, kind: "time", of: (row) => cell(table, column, row), show: (row) => momentText(cell(table, column, row), unitOf(attemptOf(row))),
});
const lossTimes = (name, column) => ({
  name, kind: "time", of: (row) => cell("losses", column, row), show: (row) => momentText(cell("losses", column, row), cellText("losses", "clock_unit", row)),
});

const attemptOfTry = (row) => {
  const starts = TABLES.attempts.tries_at;
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= row) low = middle;
    else high = middle;
  }
  return low;
};

const tableSpecs = (app) => {
  const self = (row) => row;
  const attemptOfCulprit = (row) => cell("culprits", "attempt", row);
  const heldSince = times("culprits", "held since", "held_since_ns", attemptOfCulprit);
  const released = times("culprits", "released", "released_ns", attemptOfCulprit);
  return {
    culprits: {
      size: TABLES.culprits.cause.length,
      pfnRange: (row) => [cell("culprits", "start_pfn", row) ?? -1, cell("culprits", "start_pfn", row) === null ? 0 : cell("culprits", "pages", row)],
      open: (row) => app.showCulprit(row),
      attemptOf: attemptOfCulprit,
      foldKey: culpritKey,
      columns: [
        numbers("culprits", "attempt", "attempt"), folded(pfns("culprits", "PFN", "start_pfn"), leastOf(pfns("culprits", "PFN", "start_pfn")), firstPfnAndMore),
        folded({ ...numbers("culprits", "pages", "pages"), show: (row) => folioText(row) ?? cell("culprits", "pages", row).toLocaleString("en") }, (rows) => distinctPages(culpritRuns(rows))),
        words("culprits", "cause", "cause", "choice"), words("culprits", "verdict", "verdict", "choice"),
        words("culprits", "effect", "effect", "choice"), words("culprits", "holder", "holder"),
        words("culprits", "taken by", "taken_by"), words("culprits", "released by", "released_by"),
        folded(heldSince, leastOf(heldSince)), folded(released, mostOf(released)),
        words("culprits", "allocated by", "allocated_by"), words("culprits", "file", "file"),
        words("culprits", "why not proved", "why"),
      ],
    },
    attempts: {
      size: TABLES.attempts.id.length,
      pfnRange: (row) => [cell("attempts", "start_pfn", row), cell("attempts", "end_pfn", row) - cell("attempts", "start_pfn", row)],
      open: (row) => app.showAttempt(row),
      columns: [
        { name: "number", kind: "number", of: self }, words("attempts", "outcome", "outcome", "choice"), words("attempts", "operation", "operation", "choice"),
        words("attempts", "area", "area"), words("attempts", "task", "task"), numbers("attempts", "pages", "pages"),
        times("attempts", "start", "start_ns", self),
        { name: "took", kind: "duration", of: (row) => (cell("attempts", "end_ns", row) === null || cell("attempts", "start_ns", row) === null ? null : cell("attempts", "end_ns", row) - cell("attempts", "start_ns", row)),
          show: (row) => (cell("attempts", "end_ns", row) === null || cell("attempts", "start_ns", row) === null || unitOf(row) !== "ns" ? "" : durationText(cell("attempts", "end_ns", row) - cell("attempts", "start_ns", row))) },
        { name: "tries", kind: "number", of: (row) => rowsOf(row, "tries")[1] - rowsOf(row, "tries")[0] },
        words("attempts", "errno", "errno"), words("attempts", "cause", "cause", "choice"), words("attempts", "verdict", "verdict"),
      ],
    },
    tries: {
      size: TABLES.tries.index.length,
      pfnRange: (row) => [cell("tries", "start_pfn", row), cell("tries", "end_pfn", row) - cell("tries", "start_pfn", row)],
      open: (row) => app.showTry(attemptOfTry(row), row),
      attemptOf: attemptOfTry,
      columns: [
        { name: "attempt", kind: "number", of: attemptOfTry }, numbers("tries", "try", "index"), pfns("tries", "from PFN", "start_pfn"), pfns("tries", "to before", "end_pfn"),
        times("tries", "start", "start_ns", attemptOfTry),
        { name: "took", kind: "duration", of: (row) => cell("tries", "end_ns", row) - cell("tries", "start_ns", row), show: (row) => (unitOf(attemptOfTry(row)) === "ns" && cell("tries", "start_ns", row) !== null ? durationText(cell("tries", "end_ns", row) - cell("tries", "start_ns", row)) : "") },
        words("tries", "result", "result", "choice"), pfns("tries", "first blocking page", "first_blocking_pfn"),
      ],
    },
    "causes and holders": {
      size: TABLES.blame.cause.length,
      columns: [
        words("blame", "cause", "cause", "choice"), words("blame", "holder", "holder"), numbers("blame", "attempts", "attempts"), numbers("blame", "tries", "tries"),
        numbers("blame", "pages", "pages"), numbers("blame", "page tries", "page_tries"), durations("blame", "held at most", "held_ns_max"),
        durations("blame", "waited", "delay_ns"), numbers("blame", "proved", "proved"), numbers("blame", "suggested", "suggested"),
      ],
    },
    "data loss": {
      size: TABLES.losses.code.length,
      columns: [
        words("losses", "what", "code", "choice"), words("losses", "severity", "severity", "choice"), numbers("losses", "count", "count"),
        numbers("losses", "CPU", "cpu"), lossTimes("from", "start_ns"), lossTimes("to", "end_ns"),
        words("losses", "detail", "detail"), words("losses", "advice", "advice"),
      ],
    },
  };
};

class Tabs {
  constructor(app) {
    this.specs = tableSpecs(app);
    this.tables = new Map();
    this.buttons = Object.entries(this.specs).map(([name, spec]) => make("button", {
      type: "button", role: "tab", id: `tab-${name.replaceAll(" ", "-")}`, on: { click: () => this.show(name), keydown: (event) => this.key(event) },
    }, `${name} (${spec.size.toLocaleString("en")})`));
    byId("tabs").replaceChildren(...this.buttons);
    this.show(this.specs.culprits.size ? "culprits" : "attempts");
  }

  // A table is built when it is first looked at.
  show(name) {
    if (!this.tables.has(name)) {
      const { size, columns, pfnRange, open, attemptOf, foldKey } = this.specs[name];
      const panel = make("div");
      this.tables.set(name, { panel, table: new PagedTable(panel, { name, columns, rows: range(0, size), pfnRange, open, attemptOf, foldKey }) });
    }
    Object.keys(this.specs).forEach((other, place) => {
      this.buttons[place].setAttribute("aria-selected", String(other === name));
      this.buttons[place].tabIndex = other === name ? 0 : -1;
    });
    byId("table").replaceChildren(this.tables.get(name).panel);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const names = Object.keys(this.specs);
    const place = (this.buttons.indexOf(event.target) + step + names.length) % names.length;
    this.show(names[place]);
    this.buttons[place].focus();
  }

  follow() {
    for (const { table } of this.tables.values()) table.follow();
  }

  choose(name, row) {
    this.tables.get(name)?.table.choose(row);
  }
}
