// One culprit in full: what is known of it, and the events that say so.
const MAX_EVENTS = 200;

const unitOf = (attempt) => cellText("attempts", "clock_unit", attempt);

const holderText = (culprit) => {
  const taker = cellText("culprits", "taken_by", culprit);
  return cellText("culprits", "holder", culprit) ?? (taker === null ? "holder not seen" : `taken by ${taker}`);
};

// `1 folio of 2 MiB` where the pages are whole folios of one order; null for single pages.
const folioText = (culprit) => {
  const [order, pages] = [cell("culprits", "order", culprit), cell("culprits", "pages", culprit)];
  const start = cell("culprits", "start_pfn", culprit);
  if (!order || order < 0 || order > 18 || start === null) return null;
  const size = 2 ** order;
  if (pages % size || start % size) return null;
  return `${countText(pages / size, "folio")} of ${DATA.page_size ? bytesText(size * DATA.page_size) : countText(size, "page")}`;
};

const heldText = (culprit) => {
  const unit = unitOf(cell("culprits", "attempt", culprit));
  const since = cell("culprits", "held_since_ns", culprit);
  const until = cell("culprits", "released_ns", culprit);
  const release = cellText("culprits", "release", culprit);
  const ends = { seen: until === null ? null : `released at ${momentText(until, unit)}`, held_at_end: "still held when the trace ends", unknown: null };
  return joined([since === null ? null : `since ${momentText(since, unit)}`, ends[release] ?? null]);
};

const culpritLine = (culprit) => {
  const tries = triesText(cell("culprits", "blocked_tries", culprit));
  const look = causeLook(CAUSES.get(cell("culprits", "cause", culprit)));
  return joined([
    `${look.letter}: ${folioText(culprit) ?? countText(cell("culprits", "pages", culprit), "page")} ${cellText("culprits", "cause", culprit)} (${cellText("culprits", "verdict", culprit)})`,
    holderText(culprit), heldText(culprit), tries ? `blocked ${/^\d+$/.test(tries) ? "try" : "tries"} ${tries}` : null,
  ]);
};

const EFFECTS = {
  blocked: "blocked migration", delayed: "delayed the attempt", would_block: "not reached: above the first blocking page",
};

const effectText = (culprit) => {
  if (cellText("attempts", "outcome", cell("culprits", "attempt", culprit)) === "INVENTORY") return "would block migration";
  const effect = cellText("culprits", "effect", culprit);
  return EFFECTS[effect] ?? effect;
};

const factsOf = (culprit) => {
  const of = (name) => cellText("culprits", name, culprit);
  const delay = unitOf(cell("culprits", "attempt", culprit)) === "ns" ? cell("culprits", "delay_ns", culprit) : null;
  return [
    ["pages", `${pagesText(cell("culprits", "pages", culprit))}, ${cell("culprits", "start_pfn", culprit) === null ? "PFN not known" : "PFN " + spanText(cell("culprits", "start_pfn", culprit), cell("culprits", "pages", culprit))}`],
    ["folio", folioText(culprit)],
    ["address", addressText(cell("culprits", "start_pfn", culprit), cell("culprits", "pages", culprit))],
    ["effect", joined([effectText(culprit), delay === null ? null : `for ${durationText(delay)}`], " ")],
    ["tries", triesText(cell("culprits", "blocked_tries", culprit))],
    ["holder", joined([holderText(culprit), of("mechanism") === null ? null : `through ${of("mechanism")}`], " ")],
    ["process", of("processes")],
    ["held", heldText(culprit)],
    ["taken by", of("taken_by")],
    ["released by", of("released_by")],
    ["allocated by", joined([of("allocated_by"), of("gfp")])],
    ["file", of("file")],
    ["not excluded", of("candidates")],
    ["why not proved", of("why")],
  ].filter(([, value]) => value);
};

const eventItem = (row, attempt) => {
  const unit = unitOf(attempt);
  const time = cell("evidence", "time_ns", row);
  const [start, end] = [cell("attempts", "start_ns", attempt), cell("attempts", "end_ns", attempt)];
  const during = time !== null && time >= start && (end === null || time <= end);
  const when = time === null ? "" : during ? "during" : time < start ? "before" : "after";
  const tid = cell("evidence", "tid", row);
  const cpu = cell("evidence", "cpu", row);
  const stack = cell("evidence", "stack", row);
  return make("li", { class: when },
    make("span", { class: "when pfn" }, joined([momentText(time, unit, 6), when], " ")),
    make("b", {}, cellText("evidence", "event", row)), " ",
    make("span", { class: "dim" }, joined([tid === null ? null : `task ${tid}`, cpu === null ? null : `CPU ${cpu}`])), " ",
    make("span", {}, cellText("evidence", "text", row)),
    stack === null ? null : make("details", {}, make("summary", {}, `stack, ${countText(DATA.stacks[stack].length, "frame")}`),
      make("ol", {}, ...DATA.stacks[stack].map((frame) => make("li", {}, make("code", {}, frame))))));
};

const showDetail = (culprit) => {
  const target = byId("detail");
  if (culprit === null) {
    target.replaceChildren(make("p", { class: "dim" }, "Choose a culprit in the table or on the map."));
    return;
  }
  const attempt = cell("culprits", "attempt", culprit);
  const place = CAUSES.get(cell("culprits", "cause", culprit));
  const verdict = cellText("culprits", "verdict", culprit);
  const time = (row) => cell("evidence", "time_ns", row) ?? Infinity;
  const rows = range(cell("culprits", "evidence_at", culprit), cell("culprits", "evidence_at", culprit + 1))
    .sort((a, b) => (time(a) === time(b) ? a - b : time(a) - time(b)));
  const events = make("ol", { class: "events" }, ...rows.slice(0, MAX_EVENTS).map((row) => eventItem(row, attempt)));
  const more = rows.length <= MAX_EVENTS ? null : make("button", { type: "button", class: "screen", on: { click: (event) => {
    events.append(...rows.slice(MAX_EVENTS).map((row) => eventItem(row, attempt)));
    event.target.remove();
  } } }, `show ${countText(rows.length - MAX_EVENTS, "more event")}`);
  const next = cell("culprits", "capture_next", culprit);
  const premises = cell("culprits", "premises", culprit);
  target.replaceChildren(
    make("h3", {}, causeSwatch(place), " ", causeCode(place), " ", make("span", { class: `badge ${verdict}` }, verdict)),
    make("dl", {}, ...factsOf(culprit).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...(premises.length ? [make("ul", { class: "premises" }, ...premises.map((line) => make("li", {}, text(line))))] : []),
    rows.length ? events : make("p", { class: "dim" }, "No single event is quoted for it."), ...(more ? [more] : []),
    ...(next.length ? [make("h3", {}, "To get a conclusive answer"), make("ul", {}, ...next.map((step) => make("li", {}, text(step))))] : []),
  );
};
