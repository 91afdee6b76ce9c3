// What is chosen is chosen everywhere: map, timeline, tables, evidence.
const app = {
  start() {
    if (!TABLES.attempts.id.length) return;
    this.picker = byId("attempt");
    this.picker.append(...TABLES.attempts.id.map((_, row) => make("option", { value: row },
      joined([`${row}:`, cellText("attempts", "outcome", row), momentText(cell("attempts", "start_ns", row), unitOf(row)), cellText("attempts", "headline", row)], " "))));
    this.picker.addEventListener("change", () => this.showAttempt(Number(this.picker.value)));
    byId("previous").addEventListener("click", () => this.showAttempt(this.attempt - 1));
    byId("next-attempt").addEventListener("click", () => this.showAttempt(this.attempt + 1));
    for (const button of document.querySelectorAll("button.show")) {
      button.addEventListener("click", () => {
        this.showAttempt(Number(button.dataset.attempt));
        if (!button.classList.contains("card")) byId("map").scrollIntoView({ block: "start" });
      });
    }
    this.map = new MapView((culprit) => this.showCulprit(culprit));
    this.cards = new Cards();
    this.timeline = new Timeline((attempt) => this.showAttempt(attempt));
    this.tabs = new Tabs(this);
    if (DATA.occupancy.length) {
      startOccupancy();
      onNewWidth(byId("occupancy-charts"), () => drawOccupancy(this.attempt));
      redraws.push(() => drawOccupancy(this.attempt));
    }
    const first = document.querySelector("#attempts button.show") ?? document.querySelector("button.show");
    this.showAttempt(first ? Number(first.dataset.attempt) : 0);
  },

  showAttempt(attempt) {
    const last = TABLES.attempts.id.length - 1;
    this.attempt = Math.min(Math.max(attempt, 0), last);
    this.picker.value = this.attempt;
    byId("previous").disabled = this.attempt === 0;
    byId("next-attempt").disabled = this.attempt === last;
    this.map.show(this.attempt);
    this.cards.choose(this.attempt);
    this.timeline.show(this.attempt);
    if (DATA.occupancy.length) drawOccupancy(this.attempt);
    this.tabs.follow();
    this.tabs.choose("attempts", this.attempt);
    const [first, end] = rowsOf(this.attempt, "culprits");
    const primary = range(first, end).find((row) => cell("culprits", "primary", row));
    this.showDetailOf(primary ?? (first < end ? first : null));
  },

  showCulprit(culprit) {
    const attempt = cell("culprits", "attempt", culprit);
    if (attempt !== this.attempt) this.showAttempt(attempt);
    this.showDetailOf(culprit);
  },

  showTry(attempt, row) {
    if (attempt !== this.attempt) this.showAttempt(attempt);
    byId("try").value = row - rowsOf(attempt, "tries")[0];
    this.map.redraw();
  },

  showDetailOf(culprit) {
    this.tabs.choose("culprits", culprit);
    showDetail(culprit);
  },
};
app.start();
