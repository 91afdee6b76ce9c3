// The whole area as a strip above the map: what is where, and which part the map shows; dragging chooses another.
const STRIP = 18;
const CELL_OF_STRIP = 3;

const paintStrip = (context, area, tryRow, low, high, box) => {
  const number = Math.max(Math.floor(box.width / CELL_OF_STRIP), 1);
  const pages = Math.max((high - low) / number, 1);
  const cells = area.cells(low, pages, Math.min(number, Math.ceil((high - low) / pages)), tryRow);
  const width = box.width / cells.length;
  cells.forEach((of, place) => {
    const state = AreaMap.mainState(of);
    const use = AreaMap.mainUse(of);
    if (use !== null) paintUse(context, use, box.x + place * width, box.y, width + 0.5, box.height);
    else if (state >= 0) paintState(context, state, box.x + place * width, box.y, width + 0.5, box.height);
  });
  cells.forEach((of, place) => { // last, so that nothing covers them
    if (!of.culprits.length) return;
    context.fillStyle = causeLook(AreaMap.mainCause(of)).color;
    const [top, height] = of.now ? [box.y, box.height] : [box.y + box.height * 0.6, box.height * 0.4];
    context.fillRect(box.x + place * width - 0.5, top, width + 1, height);
  });
};

const fitCanvas = (canvas, width, height) => {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(width * scale), 1);
  canvas.height = Math.max(Math.round(height * scale), 1);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
};

class Overview {
  // onRange: called with the [low, high) that was dragged over; onMiddle: with the PFN that was clicked.
  constructor(onRange, onMiddle) {
    this.canvas = byId("overview");
    this.from = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      this.from = this.to = event.offsetX;
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.from === null) return;
      this.to = event.offsetX;
      this.draw(this.view);
    });
    this.canvas.addEventListener("pointercancel", () => { this.from = null; });
    this.canvas.addEventListener("pointerup", () => {
      if (this.from === null || !this.view) return;
      const [low, high] = [this.from, this.to].sort((a, b) => a - b).map((x) => this.pfnAt(x));
      const dragged = Math.abs(this.to - this.from) > 4;
      this.from = null;
      if (dragged) onRange(low, high);
      else onMiddle(low);
    });
  }

  pfnAt(x) {
    const { area } = this.view;
    const share = Math.min(Math.max(x / this.canvas.clientWidth, 0), 1);
    return Math.round(area.start + share * (area.end - area.start));
  }

  // A number below the strip; the lines to the map end at its edge.
  label(context, words, x, align) {
    context.font = "12px ui-monospace, 'DejaVu Sans Mono', monospace";
    context.textBaseline = "top";
    context.textAlign = align;
    context.lineWidth = 5;
    context.lineJoin = "round";
    context.strokeStyle = colorOf("panel");
    context.strokeText(words, x, STRIP + 5);
    context.fillStyle = colorOf("dim");
    context.fillText(words, x, STRIP + 5);
  }

  // view: area, tryRow, low, high, and the left and right edge of the map below.
  draw(view) {
    this.view = view;
    const { area, tryRow, low, high, left, right } = view;
    const width = this.canvas.parentElement.clientWidth;
    const height = 58;
    const context = fitCanvas(this.canvas, width, height);
    this.canvas.hidden = area.start === null;
    if (area.start === null) return;
    context.strokeStyle = colorOf("line");
    context.strokeRect(0.5, 0.5, width - 1, STRIP + 1);
    paintStrip(context, area, tryRow, area.start, area.end, { x: 0, y: 1, width, height: STRIP });
    const x = (pfn) => ((Math.min(Math.max(pfn, area.start), area.end) - area.start) / (area.end - area.start)) * width;
    const [from, to] = [x(low), Math.max(x(high), x(low) + 3)];
    context.strokeStyle = colorOf("focus");
    context.lineWidth = 2;
    context.strokeRect(from, 1, to - from, STRIP);
    context.lineWidth = 1;
    context.globalAlpha = 0.45;
    context.beginPath();
    for (const [top, bottom] of [[from, left], [to, right]]) {
      context.moveTo(top, STRIP + 1);
      context.lineTo(bottom, height);
    }
    context.stroke();
    context.globalAlpha = 1;
    this.label(context, pfnText(area.start), 0, "left");
    this.label(context, pfnText(area.end - 1), width, "right");
    context.globalAlpha = 0.45;
    if (this.from !== null) {
      context.fillStyle = colorOf("focus");
      context.fillRect(Math.min(this.from, this.to), 0, Math.abs(this.to - this.from), STRIP + 2);
    }
    context.globalAlpha = 1;
  }
}
