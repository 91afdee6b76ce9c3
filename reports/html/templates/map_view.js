// The map on its canvas: cells in rows, a cursor for the keyboard, a tip under the pointer.
const GUTTER = 92;
const FIRST_VIEW_PAGES = 2048;
const MAX_TIP = 5;

class MapView {
  constructor(onCulprit) {
    this.canvas = byId("map-canvas");
    this.tip = byId("map-tip");
    this.onCulprit = onCulprit;
    this.tryInput = byId("try");
    this.area = null;
    this.overview = new Overview((low, high) => this.showRange(low, high), (pfn) => this.centre(pfn));
    this.tryInput.addEventListener("input", () => this.redraw());
    byId("zoom-in").addEventListener("click", () => this.zoom(1 / 8));
    byId("zoom-out").addEventListener("click", () => this.zoom(8));
    byId("zoom-all").addEventListener("click", () => this.showAll());
    byId("culprit-next").addEventListener("click", () => this.goToCulprit(1));
    byId("culprit-previous").addEventListener("click", () => this.goToCulprit(-1));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.hideTip());
    this.canvas.addEventListener("blur", () => this.hideTip());
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("dblclick", () => this.zoom(1 / 8));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    onNewWidth(this.canvas.parentElement, () => this.redraw());
    redraws.push(() => {
      if (this.area) this.legend();
      this.redraw();
    });
  }

  show(attempt) {
    this.area = new AreaMap(attempt);
    const [first, end] = rowsOf(attempt, "tries");
    this.tries = [first, end];
    this.tryInput.max = Math.max(end - first - 1, 0);
    this.tryInput.value = this.tryInput.max;
    this.tryInput.disabled = end - first < 2;
    this.cursor = null;
    this.legend();
    this.showFirst();
  }

  // The part around the page that blocked first, else the first culprit; without one, the whole area.
  showFirst() {
    const focus = this.focus;
    if (focus === null || this.area.end - this.area.start <= FIRST_VIEW_PAGES) this.showAll();
    else this.centre(focus, FIRST_VIEW_PAGES);
  }

  // The page that a reader looks for: that the try stopped at, else the culprit that decided, else the lowest one.
  get focus() {
    const blocking = this.tryRow === null ? null : cell("tries", "first_blocking_pfn", this.tryRow);
    if (blocking !== null) return blocking;
    const primary = this.area.culprits.find((row) => cell("culprits", "primary", row) && cell("culprits", "start_pfn", row) !== null);
    const first = primary ?? this.area.culprits.find((row) => cell("culprits", "start_pfn", row) !== null);
    return first === undefined ? null : cell("culprits", "start_pfn", first);
  }

  // A window of so many pages with this page in its first third, within the area.
  centre(pfn, pages = this.high - this.low) {
    const whole = this.area.end - this.area.start;
    const span = Math.min(pages, whole);
    const grid = AreaMap.cellPages(this.area.start, this.area.start + span) * 64;
    const low = Math.min(Math.max(Math.floor((pfn - span / 4) / grid) * grid, this.area.start), this.area.end - span);
    this.showRange(low, low + span);
  }

  showAll() {
    if (this.area.start === null) {
      [this.low, this.high] = [0, 0];
      this.redraw();
      return;
    }
    this.showRange(this.area.start, this.area.end);
  }

  showRange(low, high) {
    this.cellPages = AreaMap.cellPages(low, high);
    this.low = Math.floor(low / this.cellPages) * this.cellPages;
    this.high = Math.ceil(high / this.cellPages) * this.cellPages;
    this.redraw();
  }

  // The view shrinks or grows around the cursor, or around its own middle, and stays within the area.
  zoom(factor) {
    if (this.area.start === null) return;
    const whole = this.area.end - this.area.start;
    const span = Math.min(Math.max((this.high - this.low) * factor, 64), whole);
    const seen = this.focus !== null && this.focus >= this.low && this.focus < this.high ? this.focus : null;
    const middle = this.cursor ?? seen ?? (this.low + this.high) / 2; // what is looked at stays in view
    const low = Math.min(Math.max(Math.floor(middle - span / 2), this.area.start), this.area.end - span);
    const grid = AreaMap.cellPages(low, low + span) * 8;
    this.showRange(Math.max(Math.floor(low / grid) * grid, 0), Math.ceil((low + span) / grid) * grid);
  }

  goToCulprit(direction) {
    if (this.area.start === null) return;
    const from = this.cursor ?? (direction > 0 ? this.area.start - 1 : this.area.end);
    const found = this.area.nextCulprit(from, direction);
    if (found === null) return;
    this.cursor = found;
    const whole = this.area.end - this.area.start;
    const low = Math.floor(found / 512) * 512;
    if (whole > 512) this.showRange(low, low + 512);
    else this.showAll();
    this.tipAt(this.cellOf(found));
  }

  // The row of the try that the slider stands at; null where the attempt has none.
  get tryRow() {
    const row = this.tries[0] + Number(this.tryInput.value);
    return row < this.tries[1] ? row : null;
  }

  redraw() {
    if (!this.area) return;
    this.status();
    this.hideTip();
    byId("map").classList.toggle("bare", this.area.start === null); // a log may name no page frame
    if (this.area.start === null) {
      this.cells = [];
      return;
    }
    const width = this.canvas.parentElement.clientWidth;
    const number = Math.round((this.high - this.low) / this.cellPages);
    this.columns = width < 560 ? 32 : 64;
    this.gutter = width < 560 ? 64 : GUTTER;
    this.size = Math.min((width - this.gutter) / this.columns, 22);
    const rows = Math.max(Math.ceil(number / this.columns), 1);
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round((rows * this.size + 4) * scale);
    this.canvas.style.height = `${rows * this.size + 4}px`;
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    this.cells = number ? this.area.cells(this.low, this.cellPages, number, this.tryRow) : [];
    this.cells.forEach((of, place) => this.paintCell(context, of, place));
    this.paintLabels(context, rows);
    this.paintNote(context, width);
    this.overview.draw({
      area: this.area, tryRow: this.tryRow, low: this.low, high: this.high,
      left: this.gutter, right: this.gutter + Math.min(number, this.columns) * this.size,
    });
    this.canvas.setAttribute("aria-label", byId("map-status").textContent);
  }

  box(place) {
    return [this.gutter + (place % this.columns) * this.size, Math.floor(place / this.columns) * this.size + 1, this.size];
  }

  paintCell(context, of, place) {
    const [x, y, size] = this.box(place);
    const inner = size - (size > 8 ? 1.5 : 0.5);
    const inTry = this.inTry(of);
    const state = AreaMap.mainState(of);
    context.globalAlpha = inTry ? 1 : 0.35;
    const use = AreaMap.mainUse(of);
    if (use !== null) paintUse(context, use, x, y, inner, inner);
    else if (state >= 0) paintState(context, state, x, y, inner, inner);
    else {
      context.strokeStyle = colorOf("line");
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, inner - 1, inner - 1);
    }
    context.globalAlpha = 1;
    if (of.culprits.length) (of.now ? paintCause : paintCauseFrame)(context, AreaMap.mainCause(of), x, y, inner, inner);
    const first = this.tryRow === null ? null : cell("tries", "first_blocking_pfn", this.tryRow);
    if (first !== null && first >= of.start && first < of.start + of.pages) this.outline(context, x, y, inner, "mark", 2);
    if (this.cursor !== null && this.cursor >= of.start && this.cursor < of.start + of.pages) {
      this.outline(context, x - 1, y - 1, inner + 2, "focus", 3);
    }
    const block = DATA.pageblock_pages;
    if (block && of.pages < block && of.start % block === 0) {
      context.fillStyle = colorOf("dim");
      context.fillRect(x - 1.25, y, 1, inner);
    }
  }

  // The page that blocked first is named in the picture; where no event names one, the culprit that is looked at.
  paintNote(context, width) {
    const blocking = this.tryRow === null ? null : cell("tries", "first_blocking_pfn", this.tryRow);
    const first = blocking ?? this.focus;
    const place = first === null ? null : this.cellOf(first);
    if (place === null) return;
    const by = this.area.culprits.find((row) => {
      const start = cell("culprits", "start_pfn", row);
      return start !== null && start <= first && first < start + cell("culprits", "pages", row);
    });
    const words = joined([`${blocking === null ? "" : "first blocking "}page ${pfnText(first)}`, by === undefined ? null : folioText(by), by === undefined ? null : holderText(by)]);
    context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
    context.textAlign = "left";
    context.textBaseline = "middle";
    const [x, y, size] = this.box(place);
    const length = Math.min(context.measureText(words).width + 12, width - 4);
    const left = Math.max(Math.min(x + size + 6, width - length - 2), 2);
    const covers = left < x + size; // no room beside the cell: above or below it
    const top = covers ? (y > 24 ? y - 24 : y + size + 4) : Math.max(y + size / 2 - 10, 1);
    context.fillStyle = colorOf("panel");
    context.strokeStyle = colorOf("mark");
    context.lineWidth = 1;
    context.globalAlpha = 0.94;
    context.beginPath();
    context.roundRect(left, top, length, 20, 5);
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
    context.fillStyle = colorOf("ink");
    context.fillText(words, left + 6, top + 10.5, length - 12);
  }

  outline(context, x, y, size, color, width) {
    context.strokeStyle = colorOf(color);
    context.lineWidth = width;
    context.strokeRect(x + width / 2, y + width / 2, size - width, size - width);
  }

  inTry(of) {
    if (this.tryRow === null) return true;
    const start = cell("tries", "start_pfn", this.tryRow);
    const end = cell("tries", "end_pfn", this.tryRow);
    return start === null || end === null || (of.start < end && of.start + of.pages > start);
  }

  paintLabels(context, rows) {
    context.fillStyle = colorOf("dim");
    context.font = "12px ui-monospace, 'DejaVu Sans Mono', monospace";
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = this.size < 13 ? 2 : 1; // rows lower than their labels
    for (let row = 0; row < rows; row += every) {
      const place = row * this.columns;
      context.fillText(pfnText(this.cells[place].start), this.gutter - 10, this.box(place)[1] + this.size / 2);
    }
  }

  status() {
    const row = this.tryRow;
    const [first, end] = this.tries;
    const [number, lowest, highest] = [row, first, end - 1].map((at) => (row === null ? null : cell("tries", "index", at)));
    byId("try-number").textContent = row === null ? "none seen" : lowest === highest ? `${number}` : `${number} (${lowest}-${highest})`;
    if (this.area.start === null) {
      byId("map-status").textContent = "No page frame of this attempt is known.";
      return;
    }
    const parts = [`${pagesText(this.high - this.low)} from ${pfnText(this.low)}, a square is ${countText(this.cellPages, "page")}`];
    if (row !== null) parts.push(this.tryText(row), this.shownText(row));
    byId("map-status").textContent = joined(parts, "; ");
  }

  tryText(row) {
    const [low, high, fail] = ["start_pfn", "end_pfn", "first_blocking_pfn"].map((name) => cell("tries", name, row));
    const where = low !== null && high !== null ? ` wanted ${spanText(low, high - low)}` : "";
    return `try ${cell("tries", "index", row)}${where}: ${cellText("tries", "result", row)}${fail === null ? "" : `, first blocking page ${pfnText(fail)}`}`;
  }

  // Said where the state of the pages is that of another try: not every one is kept.
  shownText(row) {
    const shown = cell("tries", "shown_map", row);
    return shown === null || cell("tries", "map_try", row) !== null ? null : `pages as they were at try ${shown}`;
  }

  legend() {
    const attempt = this.area.attempt;
    const causes = [...new Set(this.area.culprits.map((row) => CAUSES.get(TABLES.culprits.cause[row])))].sort((a, b) => a - b);
    const states = new Set(this.area.runs.map((row) => STATE_NUMBERS.get(cellText("map", "state", row))));
    const items = causes.map((place) => make("li", {}, causeSwatch(place), causeCode(place)));
    STATES.forEach(([, words], state) => {
      if (states.has(state)) items.push(make("li", {}, stateSwatch(state), words));
    });
    const uses = new Set(this.area.uses.map((row) => USE_NUMBERS.get(cellText("uses", "use", row))));
    const drawn = [...uses].filter((use) => use !== undefined && use !== FREE_USE).sort((a, b) => a - b);
    for (const use of drawn) items.push(make("li", {}, useSwatch(use), `${USES[use][1]}, by kpageflags`));
    if (causes.length && this.tries[1] > this.tries[0]) items.push(make("li", { class: "dim" }, "framed: did not block this try; dark frame: its first blocking page; pale: outside its range"));
    const mapped = this.area.runsAt(this.tryRow).reduce((sum, run) => sum + TABLES.map.pages[run], 0);
    if (mapped && mapped < this.area.end - this.area.start) items.push(make("li", { class: "dim" }, "empty squares: not tried"));
    if (!this.area.runs.length) {
      const why = cellText("attempts", "errno", attempt) === null ? "the pages of a success are not kept one by one" : "no state of its pages is known";
      items.push(make("li", { class: "dim" }, `empty squares: ${why}`));
    }
    byId("legend").replaceChildren(...items);
  }

  cellOf(pfn) {
    const place = Math.floor((pfn - this.low) / this.cellPages);
    return place >= 0 && place < this.cells.length ? place : null;
  }

  placeAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - this.gutter) / this.size);
    const place = Math.floor((event.clientY - box.top - 1) / this.size) * this.columns + column;
    return column >= 0 && column < this.columns && place >= 0 && place < this.cells.length ? place : null;
  }

  hover(event) {
    const place = this.placeAt(event);
    if (place === null) this.hideTip();
    else this.tipAt(place);
  }

  click(event) {
    const place = this.placeAt(event);
    if (place === null) return;
    this.cursor = this.cells[place].start;
    const culprits = this.cells[place].culprits;
    this.redraw();
    this.tipAt(place);
    if (culprits.length) this.onCulprit(culprits[0]);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    const actions = {
      "+": () => this.zoom(1 / 8), "-": () => this.zoom(8), 0: () => this.showAll(),
      n: () => this.goToCulprit(1), p: () => this.goToCulprit(-1), Enter: () => this.enter(), Escape: () => this.hideTip(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !this.cells.length) return;
    if (event.key in steps) this.step(steps[event.key]);
    else if (event.key in actions) actions[event.key]();
    else return;
    event.preventDefault();
  }

  step(by) {
    const at = this.cursor === null ? null : this.cellOf(this.cursor);
    const place = at === null ? 0 : Math.min(Math.max(at + by, 0), this.cells.length - 1);
    this.cursor = this.cells[place].start;
    this.redraw();
    this.tipAt(place);
  }

  enter() {
    const place = this.cursor === null ? null : this.cellOf(this.cursor);
    if (this.cellPages > 1 || place === null) this.zoom(1 / 8);
    else if (this.cells[place].culprits.length) this.onCulprit(this.cells[place].culprits[0]);
  }

  tipAt(place) {
    if (place === null) return;
    const of = this.cells[place];
    const states = STATES.flatMap(([, words], state) => (of.states[state] ? [`${of.states[state].toLocaleString("en")} ${words}`] : []));
    const lines = [make("b", { class: "pfn" }, `PFN ${spanText(of.start, of.pages)}`), ...addressLine(of.start, of.pages), ...(states.length ? [make("p", {}, states.join(", "))] : [])];
    const uses = USES.flatMap(([, words], use) => (of.uses[use] ? [`${of.uses[use].toLocaleString("en")} ${words}`] : []));
    if (uses.length) lines.push(make("p", { class: "dim" }, `without events, by kpageflags: ${uses.join(", ")}`));
    for (const culprit of of.culprits.slice(0, MAX_TIP)) lines.push(make("p", {}, culpritLine(culprit)));
    if (of.culprits.length > MAX_TIP) lines.push(make("p", {}, `and ${countText(of.culprits.length - MAX_TIP, "more culprit")}`));
    this.tip.replaceChildren(...lines);
    this.tip.hidden = false;
    const [x, y, size] = this.box(place);
    const room = this.canvas.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(Math.min(x, room), 0)}px`;
    this.tip.style.top = `${y + size + 6}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}
