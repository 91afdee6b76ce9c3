// A table of any length, a page at a time: sorted by its headers, filtered by words, PFNs and choices.
// A column: name, kind ("text", "number", "pfn", "time", "duration" or "choice"), of(row) (a text's number, or a
// number), and, where that is not what is shown, show(row); of rows folded into one total(rows) and totalWords(rows).
const PAGE_SIZES = [25, 100, 500];

const textFlags = (() => {
  const known = new Map();
  return (word) => {
    if (!known.has(word)) {
      if (known.size > 20) known.clear();
      known.set(word, Uint8Array.from(DATA.texts, (one) => (one.toLowerCase().includes(word) ? 1 : 0)));
    }
    return known.get(word);
  };
})();

const textRanks = (() => {
  let ranks = null;
  return () => {
    if (!ranks) {
      const order = range(0, DATA.texts.length).sort((a, b) => (DATA.texts[a] < DATA.texts[b] ? -1 : 1));
      ranks = new Int32Array(order.length);
      order.forEach((number, rank) => { ranks[number] = rank; });
    }
    return ranks;
  };
})();

class PagedTable {
  constructor(target, { name, columns, rows, pfnRange = null, open = null, attemptOf = null, foldKey = null }) {
    Object.assign(this, { target, name, columns, rows, pfnRange, open, attemptOf, foldKey, page: 0, pageSize: PAGE_SIZES[0], chosen: null });
    this.sorting = null;
    this.fold = null; // the box that folds rows that say the same
    this.opened = new Set(); // first rows of groups whose members are shown
    this.onlyAttempt = null; // the box that keeps the table to the attempt chosen above
    this.choices = new Map();
    this.words = "";
    this.groups = [];
    this.build();
    this.refresh();
  }

  isText(column) {
    return column.kind === "text" || column.kind === "choice";
  }

  build() {
    const hint = this.pfnRange ? "words, or a PFN like 0x1e403" : "words";
    const search = make("input", { type: "search", placeholder: `filter: ${hint}`, "aria-label": `Filter ${this.name}`, on: {
      input: (event) => { this.words = event.target.value; this.page = 0; this.refresh(); },
    } });
    const selects = this.columns.filter((column) => column.kind === "choice").map((column) => this.choice(column));
    const only = [];
    if (this.attemptOf) {
      this.onlyAttempt = make("input", { type: "checkbox", on: { change: () => { this.page = 0; this.refresh(); } } });
      only.push(make("label", {}, this.onlyAttempt, " this attempt only"));
    }
    if (this.foldKey && new Set(this.rows.map(this.foldKey)).size < this.rows.length) {
      this.fold = make("input", { type: "checkbox", class: "fold", checked: "", on: { change: () => { this.page = 0; this.refresh(); } } });
      only.push(make("label", {}, this.fold, " rows that say the same as one"));
    }
    this.info = make("span", { role: "status", class: "info" });
    this.buttons = [["first", "\u21e4"], ["previous", "\u25c0"], ["next", "\u25b6"], ["last", "\u21e5"]].map(([word, sign]) =>
      make("button", { type: "button", "aria-label": `${word} page`, class: `screen ${word}`, on: { click: () => this.turn(word) } }, sign));
    const size = make("select", { "aria-label": "rows on a page", class: "screen", on: {
      change: (event) => { this.pageSize = Number(event.target.value); this.page = 0; this.render(); },
    } }, ...PAGE_SIZES.map((many) => make("option", { value: many }, `${many} rows`)));
    this.headers = this.columns.map((column) => {
      const button = make("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.name);
      return make("th", { scope: "col", "aria-sort": "none", class: this.isText(column) ? null : "number" }, button);
    });
    this.body = make("tbody");
    this.target.replaceChildren(
      make("div", { class: "pager screen" }, search, ...selects, ...only),
      make("div", { class: "scroll" }, make("table", {}, make("caption", { class: "skip" }, this.name), make("thead", {}, make("tr", {}, ...this.headers)), this.body)),
      make("div", { class: "pager" }, this.info, ...this.buttons, size),
    );
  }

  choice(column) {
    const values = [...new Set(this.rows.map((row) => column.of(row)))].filter((value) => value !== null)
      .sort((a, b) => (text(a) < text(b) ? -1 : 1));
    const options = values.map((value) => make("option", { value }, text(value)));
    return make("select", { "aria-label": `only ${column.name}`, on: { change: (event) => {
      if (event.target.value === "") this.choices.delete(column);
      else this.choices.set(column, Number(event.target.value));
      this.page = 0;
      this.refresh();
    } } }, make("option", { value: "" }, `any ${column.name}`), ...options);
  }

  sortBy(column) {
    const down = this.sorting?.column === column && !this.sorting.down;
    this.sorting = { column, down };
    this.headers.forEach((header, place) => {
      header.setAttribute("aria-sort", this.columns[place] !== column ? "none" : down ? "descending" : "ascending");
    });
    this.page = 0;
    this.refresh();
  }

  tests() {
    const tests = [...this.choices].map(([column, value]) => (row) => column.of(row) === value);
    if (this.onlyAttempt?.checked) tests.push((row) => this.attemptOf(row) === app.attempt);
    const columns = this.columns.filter((column) => this.isText(column));
    for (const word of this.words.toLowerCase().split(/\s+/).filter(Boolean)) {
      const flags = textFlags(word);
      const number = /^(0x[0-9a-f]+|\d+)$/.test(word) ? Number(word) : null;
      tests.push((row) => {
        if (number !== null && this.pfnRange) {
          const [start, pages] = this.pfnRange(row);
          if (start !== null && number >= start && number < start + pages) return true;
        }
        return columns.some((column) => {
          const value = column.of(row);
          return value !== null && flags[value] === 1;
        });
      });
    }
    return tests;
  }

  refresh() {
    const tests = this.tests();
    const kept = tests.length ? this.rows.filter((row) => tests.every((test) => test(row))) : [...this.rows];
    this.kept = kept.length;
    this.groups = foldRows(kept, this.fold?.checked ? this.foldKey : null);
    if (this.sorting) {
      const { column, down } = this.sorting;
      const ranks = this.isText(column) ? textRanks() : null;
      const keys = new Map(this.groups.map((rows) => {
        const value = this.valueOf(column, rows);
        return [rows, value === null ? null : ranks ? ranks[value] : value];
      }));
      this.groups.sort((a, b) => {
        const [left, right] = [keys.get(a), keys.get(b)];
        if (left === null || right === null) return (left === null) - (right === null) || a[0] - b[0]; // unknown comes last
        return (down ? right - left : left - right) || a[0] - b[0];
      });
    }
    this.render();
  }

  valueOf(column, rows) {
    return rows.length > 1 && column.total ? column.total(rows) : column.of(rows[0]);
  }

  turn(word) {
    const last = Math.max(Math.ceil(this.groups.length / this.pageSize) - 1, 0);
    this.page = { first: 0, previous: Math.max(this.page - 1, 0), next: Math.min(this.page + 1, last), last }[word];
    this.render();
  }

  choose(row) {
    this.chosen = row;
    this.render();
  }

  // Another attempt was chosen above.
  follow() {
    if (!this.onlyAttempt?.checked) return;
    this.page = 0;
    this.refresh();
  }

  render() {
    const from = this.page * this.pageSize;
    const shown = this.groups.slice(from, from + this.pageSize);
    this.body.replaceChildren(...shown.flatMap((rows) => (rows.length > 1 ? this.group(rows) : [this.row(rows[0])])));
    const some = this.kept === this.rows.length ? "" : ` (of ${this.rows.length.toLocaleString("en")})`;
    const many = this.groups.length === this.kept ? "" : ` for ${this.kept.toLocaleString("en")}`;
    this.info.textContent = this.groups.length
      ? `rows ${(from + 1).toLocaleString("en")}-${(from + shown.length).toLocaleString("en")} of ${this.groups.length.toLocaleString("en")}${many}${some}`
      : `no row${some}`;
    const atEnd = from + shown.length >= this.groups.length;
    this.buttons.forEach((button, place) => { button.disabled = place < 2 ? this.page === 0 : atEnd; });
  }

  // One row for all of these, and below it, once it was opened, each of them.
  group(rows) {
    const isOpen = this.opened.has(rows[0]);
    const cells = this.columns.map((column, place) => {
      const value = this.valueOf(column, rows);
      const words = column.totalWords ? column.totalWords(rows) : column.kind === "time" ? momentText(value, unitOf(this.attemptOf(rows[0])))
        : this.isText(column) ? text(value) : value?.toLocaleString("en");
      const sign = place ? [] : [make("span", { class: "fold", "aria-hidden": "true" }, isOpen ? "\u25be " : "\u25b8 ")];
      const many = place ? [] : [make("span", { class: "dim" }, ` (${countText(rows.length, "row")})`)];
      return make("td", { class: this.cellClass(column) }, ...sign, words ?? "", ...many);
    });
    const turn = () => {
      if (isOpen) this.opened.delete(rows[0]);
      else this.opened.add(rows[0]);
      this.render();
      this.body.querySelector(`tr.group[data-row="${rows[0]}"]`).focus();
    };
    const chosen = rows.includes(this.chosen) && !isOpen ? " chosen" : "";
    const head = make("tr", {
      class: `open group${chosen}`, tabindex: 0, "data-row": rows[0], "aria-expanded": String(isOpen),
      on: { click: turn, keydown: (event) => { if (event.key === "Enter") turn(); } },
    }, ...cells);
    return [head, ...(isOpen ? rows.map((row) => this.row(row, "member")) : [])];
  }

  cellClass(column) {
    return column.kind === "text" ? "words" : column.kind === "choice" ? "nowrap" : "number";
  }

  row(row, kind = "") {
    const cells = this.columns.map((column) => {
      const shown = column.show ? column.show(row) : this.isText(column) ? text(column.of(row)) : column.of(row)?.toLocaleString("en");
      return make("td", { class: this.cellClass(column) }, shown ?? "");
    });
    const actions = this.open ? {
      class: joined(["open", kind, row === this.chosen ? "chosen" : ""], " "), tabindex: 0, "data-row": row,
      on: { click: () => this.open(row), keydown: (event) => { if (event.key === "Enter") this.open(row); } },
    } : {};
    return make("tr", actions, ...cells);
  }
}
