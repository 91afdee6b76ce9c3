// What maps and lanes are drawn with. Eight hues that people with any colour vision tell apart (after Okabe and Ito),
// and, since that is not enough for every cause and not for paper, a pattern and a letter each.
const STATES = [
  ["free", "free"],
  ["moved", "moved away"],
  ["held", "not migrated, no culprit"],
  ["mixed", "several states in one pageblock"],
  ["not_seen", "not seen in the trace"],
];
// What kpageflags says of pages without events; `free` is drawn as the state is.
const USES = DATA.use_words;
const USE_NUMBERS = new Map(USES.map(([name], number) => [name, number]));
const FREE_USE = USE_NUMBERS.get("free");
const HUES = 8; // --hue-0 to --hue-7 of the style sheet, two of them lighter on a dark page
const PATTERNS = ["solid", "rising", "dots", "falling"];

// Every cause of the report has the same looks everywhere; what blocks most attempts comes first.
const CAUSES = new Map(DATA.cause_order.map((cause, place) => [cause, place]));
const causeCode = (place) => text([...CAUSES.keys()][place]);

const causeLook = (place) => ({
  color: colorOf(`hue-${place % HUES}`),
  pattern: PATTERNS[(Math.floor(place / 2) + Math.floor(place / HUES)) % PATTERNS.length],
  letter: String.fromCharCode(65 + (place % 26)),
});

// A filled square with the pattern of its cause; the letter where there is room for it.
const paintCause = (context, place, x, y, width, height) => {
  const look = causeLook(place);
  context.fillStyle = look.color;
  context.fillRect(x, y, width, height);
  if (Math.min(width, height) < 7) return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = context.fillStyle = "rgb(255 255 255 / .55)";
  context.lineWidth = 1;
  if (look.pattern === "rising" || look.pattern === "falling") {
    context.beginPath();
    for (let offset = -height; offset < width; offset += 5) {
      const low = look.pattern === "rising" ? height : 0;
      context.moveTo(x + offset, y + low);
      context.lineTo(x + offset + height, y + height - low);
    }
    context.stroke();
  } else if (look.pattern === "dots") {
    for (let down = 2; down < height; down += 5) {
      for (let right = 2; right < width; right += 5) context.fillRect(x + right, y + down, 1.5, 1.5);
    }
  }
  if (Math.min(width, height) >= 12) {
    context.font = `bold ${Math.min(13, height - 2)}px sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.strokeStyle = "rgb(0 0 0 / .65)";
    context.strokeText(look.letter, x + width / 2, y + height / 2 + 0.5);
    context.fillStyle = "#fff";
    context.fillText(look.letter, x + width / 2, y + height / 2 + 0.5);
  }
  context.restore();
};

// The same cause where it does not block the shown try: its frame and its letter, around what the pages are.
const paintCauseFrame = (context, place, x, y, width, height) => {
  const look = causeLook(place);
  const line = Math.min(width, height) < 7 ? 1 : 2;
  context.strokeStyle = context.fillStyle = look.color;
  context.lineWidth = line;
  context.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
  if (Math.min(width, height) < 12) return;
  context.font = `bold ${Math.min(11, height - 4)}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colorOf("ink");
  context.fillText(look.letter, x + width / 2, y + height / 2 + 0.5);
};

const paintState = (context, state, x, y, width, height) => {
  context.fillStyle = colorOf(STATES[state][0]);
  context.fillRect(x, y, width, height);
};

const paintUse = (context, use, x, y, width, height) => {
  context.fillStyle = colorOf(use === FREE_USE ? "free" : `use_${USES[use][0]}`);
  context.fillRect(x, y, width, height);
};

const swatch = (paint) => {
  const canvas = make("canvas", { width: 40, height: 40, class: "swatch", "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  paint(context, 0, 0, 20, 20);
  return canvas;
};
const causeSwatch = (place) => swatch((context, ...box) => paintCause(context, place, ...box));
const useSwatch = (use) => swatch((context, ...box) => paintUse(context, use, ...box));
const stateSwatch = (state) => swatch((context, ...box) => paintState(context, state, ...box));
