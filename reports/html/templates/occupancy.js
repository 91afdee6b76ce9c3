// How full each area and zone was: pages by state, stacked, each number until the next; attempts on it are marked.
const CHART = { height: 150, left: 70, right: 8, top: 30, axis: 22 };

const drawOccupancy = (chosen) => {
  const target = byId("occupancy-charts");
  target.replaceChildren(...DATA.occupancy.map((area) => occupancyChart(area, chosen, Math.max(target.clientWidth, 500))));
};

const occupancyChart = (area, chosen, width) => {
  const low = area.times[0];
  // Numbers of this size have no finer steps: a span of nothing would divide by 0.
  const high = Math.max(area.times.at(-1), low + Math.max(1, Math.abs(low) * 1e-12));
  const base = CHART.top + CHART.height;
  const x = (time) => CHART.left + ((Math.min(Math.max(time, low), high) - low) / (high - low)) * (width - CHART.left - CHART.right);
  const y = (pages) => Math.max(base - (pages / area.top) * CHART.height, CHART.top);
  const sums = area.times.map(() => 0);
  const layers = area.states.map(([name, label, pages]) => {
    pages.forEach((number, at) => { sums[at] += number; });
    const steps = sums.map((sum, at) => `H${x(area.times[at]).toFixed(1)}V${y(sum).toFixed(1)}`).join("");
    return draw("path", { d: `M${x(low)} ${base}${steps}V${base}Z`, fill: colorOf(name) }, draw("title", {}, text(label)));
  });
  const attempts = area.attempts.flatMap((row) => {
    const [from, to] = [cell("attempts", "start_ns", row), cell("attempts", "end_ns", row) ?? high];
    const box = { x: x(from), y: CHART.top, width: Math.max(x(to) - x(from), 1), height: CHART.height };
    const fine = ["OK", "DELAYED"].includes(cellText("attempts", "outcome", row));
    const look = { fill: colorOf(fine ? "good" : "bad"), "fill-opacity": 0.2, stroke: colorOf(row === chosen ? "mark" : fine ? "good" : "bad") };
    return draw("rect", { ...box, ...look }, draw("title", {}, `${cellText("attempts", "outcome", row)} ${cellText("attempts", "headline", row)}`));
  });
  const unseen = area.never_seen ? ` (${area.never_seen.toLocaleString("en")} with no event in the trace)` : "";
  const title = `${text(area.scope)}: ${countText(area.total, "page")}${unseen}`;
  const marks = [0, 0.5, 1].map((part) => draw("text", { x: CHART.left - 6, y: base - part * CHART.height + 4, "text-anchor": "end" }, Math.round(part * area.top).toLocaleString("en")));
  const ends = [[low, "start"], [(low + high) / 2, "middle"], [high, "end"]].map(([time, anchor]) =>
    draw("text", { class: "faint", x: x(time), y: base + 16, "text-anchor": anchor }, momentText(time, area.unit)));
  const look = { viewBox: `0 0 ${width} ${base + CHART.axis}`, height: base + CHART.axis, role: "img", "aria-label": title };
  return draw("svg", look, draw("text", { x: 2, y: 14 }, title), ...layers.reverse(), ...attempts, ...marks, ...ends);
};

const startOccupancy = () => {
  const states = new Map(DATA.occupancy.flatMap((area) => area.states.map(([name, label]) => [name, text(label)])));
  byId("occupancy-legend").append(...[...states].map(([name, label]) =>
    make("li", {}, draw("svg", { class: "swatch", viewBox: "0 0 1 1", "aria-hidden": "true" }, draw("rect", { width: 1, height: 1, class: name })), label)));
};
