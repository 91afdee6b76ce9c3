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
    for (const { card, attempt: number } of this.cards) {
      card.setAttribute("aria-pressed", String(number === attempt));
      const row = card.parentElement;
      const outside = card.offsetLeft < row.scrollLeft || card.offsetLeft + card.offsetWidth > row.scrollLeft + row.clientWidth;
      if (number === attempt && outside) row.scrollLeft = card.offsetLeft - (row.clientWidth - card.offsetWidth) / 2;
    }
  }

  // Attempts on one area share its span; memory blocks, which lie far apart, have each their own.
  spanOf(area) {
    const name = (of) => cell("attempts", "area", of.attempt);
    const same = this.areas.filter((of) => of.start !== null && name(of) === name(area));
    return [Math.min(...same.map((of) => of.start)), Math.max(...same.map((of) => of.end))];
  }

  // Of a success no page is kept one by one: what it took, at its place.
  paintTaken(context, row, low, high, width, height) {
    const [start, end] = [cell("tries", "start_pfn", row), cell("tries", "end_pfn", row)];
    if (start === null || end === null || cellText("tries", "result", row) !== "succeeded") return;
    const x = (pfn) => 1 + ((Math.min(Math.max(pfn, low), high) - low) / (high - low)) * (width - 2);
    context.fillStyle = colorOf("good");
    context.globalAlpha = 0.55;
    context.fillRect(x(start), height * 0.3, Math.max(x(end) - x(start), 2), height * 0.4);
    context.globalAlpha = 1;
  }

  redraw() {
    this.cards.forEach(({ canvas }, place) => {
      const area = this.areas[place];
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (!width) return;
      const context = fitCanvas(canvas, width, height);
      canvas.hidden = area.start === null;
      if (area.start === null) return;
      const [low, high] = this.spanOf(area);
      const [first, end] = rowsOf(area.attempt, "tries");
      context.strokeStyle = colorOf("line");
      context.strokeRect(0.5, 0.5, width - 1, height - 1);
      paintStrip(context, area, end > first ? end - 1 : null, low, high, { x: 1, y: 1, width: width - 2, height: height - 2 });
      if (!area.runs.length && end > first) this.paintTaken(context, end - 1, low, high, width, height);
    });
  }
}
