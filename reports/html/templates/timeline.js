// Time from left to right: attempts, the tries and waits of the chosen one, and how long each culprit was held.
const LABELS = 280;
const LETTER = 6.6; // the width of most letters of a label
const LANE = 24;
const MAX_LANES = 40;
const NARROW = 620; // labels stand above the bars then

class Timeline {
  constructor(onAttempt) {
    this.target = byId("timeline-chart");
    this.onAttempt = onAttempt;
    for (const button of document.querySelectorAll("#timeline button")) {
      const { span, zoom, move } = button.dataset;
      button.addEventListener("click", () => {
        if (span) this.showSpan(span);
        else if (zoom) this.change(zoom === "in" ? 0.5 : 2, 0);
        else this.change(1, Number(move) / 2);
      });
    }
    this.target.addEventListener("pointerdown", (event) => this.brush(event, "start"));
    this.target.addEventListener("pointermove", (event) => this.brush(event, "move"));
    this.target.addEventListener("pointerup", (event) => this.brush(event, "end"));
    this.target.addEventListener("pointercancel", () => this.brush(null, "drop"));
    this.target.addEventListener("dblclick", () => this.showSpan("holds"));
    onNewWidth(this.target, () => this.redraw());
    redraws.push(() => this.redraw());
  }

  show(attempt) {
    this.attempt = attempt;
    this.unit = unitOf(attempt);
    this.start = cell("attempts", "start_ns", attempt) ?? 0; // a log without times: nothing of it is drawn
    const lasts = [cell("attempts", "end_ns", attempt)];
    const [first, end] = rowsOf(attempt, "tries");
    if (end > first) lasts.push(cell("tries", "end_ns", end - 1));
    this.end = Math.max(this.start + 1, ...lasts.filter((time) => time !== null));
    this.holds = this.groupHolds();
    this.showSpan("holds");
  }

  // A stretch of time drawn with the pointer becomes what is shown.
  brush(event, phase) {
    if (phase === "start") this.brushed = [event.clientX, event.clientX];
    if (!this.brushed) return;
    const box = this.target.getBoundingClientRect();
    const xOf = (clientX) => ((clientX - box.left) * this.width) / Math.max(box.width, 1);
    if (phase === "move") this.brushed[1] = event.clientX;
    const [from, to] = this.brushed.map(xOf).sort((a, b) => a - b);
    const wide = to - from > 6;
    if (phase === "end" && wide) {
      const [low, high] = [this.timeAt(from), this.timeAt(to)];
      this.brushed = null;
      if (high > low) this.showBetween((low + high) / 2, (high - low) / 2);
      return;
    }
    if (phase !== "start" && phase !== "move") this.brushed = null;
    const rect = this.target.querySelector("rect.brush");
    if (!rect) return;
    rect.setAttribute("x", this.brushed && wide ? from : 0);
    rect.setAttribute("width", this.brushed && wide ? to - from : 0);
  }

  timeAt(x) {
    const share = (x - this.labels) / (this.width - this.labels - 8);
    return this.low + Math.min(Math.max(share, 0), 1) * (this.high - this.low);
  }

  // One lane for each cause and holder of any attempt; bars that overlap are drawn as one.
  groupHolds() {
    const groups = new Map();
    for (const row of TABLES.culprits.cause.keys()) {
      const key = joined([cell("culprits", "cause", row), cell("culprits", "holder", row), cell("culprits", "taken_by", row), cell("culprits", "allocated_by", row)], "/");
      const group = groups.get(key) ?? { first: row, runs: [], bars: [], met: new Set(), here: false };
      groups.set(key, group);
      const attempt = cell("culprits", "attempt", row);
      if (attempt === this.attempt) group.here = true;
      if (cellText("culprits", "effect", row) === "blocked") group.met.add(attempt);
      group.runs.push([cell("culprits", "start_pfn", row), cell("culprits", "pages", row)]);
      group.bars.push({
        since: cell("culprits", "held_since_ns", row), until: cell("culprits", "released_ns", row), release: cellText("culprits", "release", row),
      });
    }
    for (const group of groups.values()) {
      group.bars = this.mergeBars(group.bars);
      group.pages = distinctPages(group.runs);
    }
    return [...groups.values()].sort((a, b) => b.met.size - a.met.size || b.here - a.here || b.pages - a.pages);
  }

  mergeBars(bars) {
    const known = bars.map((bar) => ({
      from: bar.since ?? -Infinity,
      to: bar.release === "seen" && bar.until !== null ? bar.until : Infinity,
      open: bar.release,
    })).sort((a, b) => a.from - b.from);
    const merged = [];
    for (const bar of known) {
      const last = merged.at(-1);
      if (last && bar.from <= last.to) {
        if (bar.to > last.to) [last.to, last.open] = [bar.to, bar.open];
      } else merged.push({ ...bar });
    }
    return merged;
  }

  showSpan(name) {
    let [low, high] = [this.start, this.end];
    if (name === "holds") {
      for (const { bars, here } of this.holds) {
        if (!here) continue;
        for (const { from, to } of bars) {
          if (from !== -Infinity) low = Math.min(low, from);
          if (to !== Infinity) high = Math.max(high, to);
        }
      }
    } else if (name === "all") {
      TABLES.attempts.start_ns.forEach((start, row) => {
        if (start === null) return;
        low = Math.min(low, start);
        high = Math.max(high, TABLES.attempts.end_ns[row] ?? start);
      });
    }
    this.showBetween((low + high) / 2, ((high - low) / 2) * 1.06);
  }

  // At least a microsecond, and never less than numbers of this size can tell apart.
  showBetween(middle, half) {
    const least = Math.max(half, 500, Math.abs(middle) * 1e-12);
    [this.low, this.high] = [middle - least, middle + least];
    this.redraw();
  }

  change(factor, move) {
    const half = ((this.high - this.low) / 2) * factor;
    this.showBetween((this.low + this.high) / 2 + move * (this.high - this.low), half);
  }

  x(time) {
    const clipped = Math.min(Math.max(time, this.low), this.high);
    return this.labels + ((clipped - this.low) / (this.high - this.low)) * (this.width - this.labels - 8);
  }

  redraw() {
    if (this.attempt === undefined) return;
    this.width = Math.max(this.target.clientWidth, 240);
    const narrow = this.width < NARROW;
    this.labels = narrow ? 4 : Math.min(LABELS, Math.round(this.width / 3));
    this.barTop = narrow ? 16 : 0;
    const laneHeight = LANE + this.barTop;
    const lanes = [
      ["all attempts", (y) => this.attemptBars(y)],
      ...this.holds.slice(0, MAX_LANES).map((group) => [this.holdLabel(group), (y) => this.holdBars(group, y), group]),
      ["tries", (y) => this.tryBars(y)],
      ["waits", (y) => this.waitBars(y)],
    ].filter(([label]) => !["tries", "waits"].includes(label) || range(...rowsOf(this.attempt, label)).length);
    const top = 40;
    const height = top + lanes.length * laneHeight + 8;
    const svg = draw("svg", { viewBox: `0 0 ${this.width} ${height}`, height, role: "img", "aria-label": "Attempts, tries, waits and holders over time" });
    svg.append(draw("defs", {}, ...this.patterns()), ...this.bands(height), ...this.band(height), ...this.axis(height));
    svg.append(draw("rect", { class: "brush", x: 0, y: 18, width: 0, height: height - 18 }));
    lanes.forEach(([label, bars, group], place) => {
      const y = top + place * laneHeight;
      svg.append(draw("line", { class: "lane", x1: 0, x2: this.width, y1: y + laneHeight - 1, y2: y + laneHeight - 1 }));
      if (group) svg.append(this.mark(group, 2, y + 3, 16, 16));
      const room = Math.floor(((narrow ? this.width : this.labels) - 28) / LETTER);
      const short = label.length > room ? `${label.slice(0, room - 1)}\u2026` : label;
      svg.append(draw("text", { x: group ? 24 : 2, y: y + 16 }, draw("title", {}, label), short), ...bars(y + this.barTop));
    });
    const hidden = this.holds.length - MAX_LANES;
    const notes = [hidden > 0 ? `and ${countText(hidden, "more holder")}: see the table of culprits` : "", this.signsText()];
    this.target.replaceChildren(svg, ...notes.filter((note) => note).map((note) => make("p", { class: "dim" }, note)));
  }

  // What the signs at the ends of bars mean, those that occur.
  signsText() {
    const bars = this.holds.slice(0, MAX_LANES).flatMap((group) => group.bars);
    return joined([
      bars.some(({ from }) => from === -Infinity) ? "\u25c2 taking not seen" : null,
      bars.some(({ to, open }) => to === Infinity && open === "unknown") ? "? letting go not seen" : null,
      bars.some(({ to, open }) => to === Infinity && open !== "unknown") ? "\u25b8 still held when the trace ends" : null,
    ]);
  }

  patterns() {
    return [...CAUSES.values()].map((place) => {
      const look = causeLook(place);
      const marks = {
        solid: [], rising: [draw("path", { d: "M0 6L6 0", stroke: "#fff", "stroke-opacity": 0.6 })],
        falling: [draw("path", { d: "M0 0L6 6", stroke: "#fff", "stroke-opacity": 0.6 })],
        dots: [draw("rect", { x: 2, y: 2, width: 1.5, height: 1.5, fill: "#fff", "fill-opacity": 0.7 })],
      };
      return draw("pattern", { id: `cause-fill-${place}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
        draw("rect", { width: 6, height: 6, fill: look.color }), ...marks[look.pattern]);
    });
  }

  mark(group, x, y, width, height) {
    const place = CAUSES.get(cell("culprits", "cause", group.first));
    const box = draw("g", {}, draw("rect", { x, y, width, height, fill: `url(#cause-fill-${place})`, rx: 2 }));
    box.append(draw("text", { x: x + width / 2, y: y + height - 4, "text-anchor": "middle", "font-weight": "bold", style: null, class: "on" }, causeLook(place).letter));
    return box;
  }

  holdLabel(group) {
    return `${holderText(group.first)}, ${folioText(group.first) ?? countText(group.pages, "page")}`;
  }

  shareText(group) {
    const many = TABLES.attempts.id.length > 1;
    return many && group.met.size ? `blocked ${countText(group.met.size, "attempt")}` : "";
  }

  // The other attempts, faint, so that it shows what was held during which.
  bands(height) {
    const drawn = [];
    let last = -Infinity;
    TABLES.attempts.start_ns.forEach((start, row) => {
      const end = TABLES.attempts.end_ns[row];
      if (start === null || end === null || row === this.attempt || cellText("attempts", "outcome", row) === "OK") return;
      if (end < this.low || start > this.high || this.x(end) < last + 1) return;
      const [from, to] = [this.x(start), this.x(end)];
      last = to;
      drawn.push(draw("rect", { class: "other", x: from, y: 18, width: Math.max(to - from, 1.5), height: height - 18 }));
    });
    return drawn;
  }

  band(height) {
    const [from, to] = [this.x(this.start), this.x(this.end)];
    const words = [["before", this.labels, from], ["during", from, to], ["after", to, this.width - 8]];
    return [
      draw("rect", { class: "band", x: from, y: 18, width: Math.max(to - from, 1), height: height - 18 }),
      ...[from, to].map((x) => draw("line", { class: "edge", x1: x, x2: x, y1: 18, y2: height })),
      ...words.filter(([, low, high]) => high - low > 46).map(([word, low, high]) =>
        draw("text", { class: "faint", x: (low + high) / 2, y: 32, "text-anchor": "middle" }, word)),
    ];
  }

  axis() {
    const span = this.high - this.low;
    const step = [1, 2, 5, 10].map((many) => many * 10 ** Math.floor(Math.log10(span / 5))).find((many) => span / many <= 8);
    const digits = Math.min(Math.max(0, 9 - Math.floor(Math.log10(step) + 1e-9)), 9);
    const ticks = [];
    const first = Math.ceil(this.low / step);
    for (let place = first; place <= first + 9 && place * step <= this.high; place += 1) {
      const time = place * step;
      ticks.push(draw("text", { class: "faint", x: this.x(time), y: 13, "text-anchor": "middle" }, momentText(time, this.unit, digits)));
    }
    return ticks;
  }

  bar(from, to, y, attributes, words, inset = 4) {
    if (to < this.low || from > this.high) return null;
    const [x, end] = [this.x(from), this.x(to)];
    return draw("rect", { x, y: y + inset, width: Math.max(end - x, 1.5), height: LANE - 2 * inset - 1, rx: 2, ...attributes }, draw("title", {}, words));
  }

  attemptBars(y) {
    const bars = [];
    let drawnTo = -Infinity;
    TABLES.attempts.start_ns.forEach((start, row) => {
      if (start === null) return;
      const end = TABLES.attempts.end_ns[row] ?? start;
      if (this.x(end) < drawnTo + 0.5 && row !== this.attempt) return; // nothing more to see within this pixel
      const outcome = cellText("attempts", "outcome", row);
      const chosen = row === this.attempt;
      const words = `${outcome} ${cellText("attempts", "headline", row)}`;
      const choose = { click: () => this.onAttempt(row), keydown: (event) => event.key === "Enter" && this.onAttempt(row) };
      const look = { fill: colorOf({ OK: "good", DELAYED: "warn", IMPEDED: "warn", INVENTORY: "dim" }[outcome] ?? "bad"), stroke: chosen ? colorOf("mark") : null, "stroke-width": chosen ? 2 : null };
      const bar = this.bar(start, end, y, { ...look, role: "button", tabindex: 0, "aria-label": words, on: choose }, words);
      if (bar) bars.push(bar);
      drawnTo = this.x(end);
    });
    return bars;
  }

  tryBars(y) {
    return range(...rowsOf(this.attempt, "tries")).flatMap((row, place) => {
      const [from, to] = [cell("tries", "start_ns", row), cell("tries", "end_ns", row)];
      if (from === null || to === null) return [];
      const result = cellText("tries", "result", row);
      const words = `try ${cell("tries", "index", row)}: ${result}, ${this.unit === "ns" ? durationText(to - from) : ""}`;
      const fill = colorOf(result === "succeeded" ? "good" : "bad");
      return this.bar(from, to, y, { fill, "fill-opacity": place % 2 ? 0.45 : 0.75 }, words) ?? [];
    });
  }

  waitBars(y) {
    return range(...rowsOf(this.attempt, "waits")).flatMap((row) => {
      const [from, to] = [cell("waits", "start_ns", row), cell("waits", "end_ns", row)];
      const words = `waited ${this.unit === "ns" ? durationText(to - from) : ""} (${cellText("waits", "kind", row)})`;
      return this.bar(from, to, y, { fill: colorOf("warn") }, words) ?? [];
    });
  }

  holdBars(group, y) {
    const place = CAUSES.get(cell("culprits", "cause", group.first));
    const says = { seen: "", held_at_end: ", still held when the trace ends", unknown: ", release not seen" };
    return group.bars.flatMap(({ from, to, open }) => {
      const since = from === -Infinity ? "taking not seen" : `since ${momentText(from, this.unit)}`;
      const until = to === Infinity ? says[open] : `, released at ${momentText(to, this.unit)}`;
      const [low, high] = [Math.max(from, this.low), Math.min(to, this.high)];
      const faded = from === -Infinity || (to === Infinity && open === "unknown");
      const bar = this.bar(low, high, y, { fill: `url(#cause-fill-${place})`, opacity: faded ? 0.55 : null }, `${this.holdLabel(group)}: ${since}${until}`);
      if (!bar) return [];
      const ends = [];
      if (from === -Infinity) ends.push(draw("text", { x: this.x(low) + 3, y: y + 16 }, "\u25c2"));
      if (to === Infinity) ends.push(draw("text", { x: this.x(high) - 3, y: y + 16, "text-anchor": "end" }, open === "unknown" ? "?" : "\u25b8"));
      const share = this.shareText(group);
      const room = this.x(high) - this.x(low);
      if (share && room > share.length * 7 + 24) {
        ends.push(draw("text", { x: this.x(low) + 16, y: y + 16, class: "on" }, share));
      }
      return [bar, ...ends];
    });
  }
}
