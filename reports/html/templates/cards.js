// The same picture of every attempt, small, side by side: all at one scale, so that places can be compared.
class Cards {
  constructor() {
    this.cards = [...document.querySelectorAll("#cards .card")].map((card) => ({
      card, canvas: card.querySelector("canvas"), attempt: Number(card.dataset.attempt),
    }));
    if (!this.cards.length) return;
    this.areas = this.cards.map(({ attempt }) => new AreaMap(attempt));
    onNewWidth(byId("cards"), () => this.redraw());
    redraws.push(() => this.redraw());
  }

  choose(attempt) {
    for (const { card, attempt: number } of this.cards) card.setAttribute("aria-pressed", String(number === attempt));
  }

  // Attempts on one area share its span; memory blocks, which lie far apart, have each their own.
  spanOf(area) {
    const name = (of) => cell("attempts", "area", of.attempt);
    const same = this.areas.filter((of) => of.start !== null && name(of) === name(area));
    return [Math.min(...same.map((of) => of.start)), Math.max(...same.map((of) => of.end))];
  }

  redraw() {
    this.cards.forEach(({ canvas }, place) => {
      const area = this.areas[place];
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (!width) return;
      const context = fitCanvas(canvas, width, height);
      if (area.start === null) return;
      const [low, high] = this.spanOf(area);
      const [first, end] = rowsOf(area.attempt, "tries");
      context.strokeStyle = colorOf("line");
      context.strokeRect(0.5, 0.5, width - 1, height - 1);
      paintStrip(context, area, end > first ? end - 1 : null, low, high, { x: 1, y: 1, width: width - 2, height: height - 2 });
    });
  }
}
