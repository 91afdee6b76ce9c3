// Numbers in the words of the kernel and of people, and elements without ever parsing text as HTML.
const pfnText = (pfn) => (pfn === null ? "" : `0x${pfn.toString(16)}`);
const spanText = (start, pages) => (pages > 1 ? `${pfnText(start)}-${pfnText(start + pages - 1)}` : pfnText(start));
const countText = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const joined = (parts, glue = ", ") => parts.filter((part) => part !== null && part !== "").join(glue);

const momentText = (ns, unit, digits = 3) => {
  if (ns === null) return "";
  return unit === "ns" ? `${(ns / 1e9).toFixed(digits)} s` : `tick ${ns}`;
};

const durationText = (ns) => {
  if (ns === null) return "";
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["us", 1e3]]) {
    if (Math.abs(ns) >= size) {
      const value = ns / size;
      const digits = Math.abs(value) < 10 ? 2 : 3;
      return `${Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(digits)} ${unit}`;
    }
  }
  return `${ns} ns`;
};

const bytesText = (bytes) => {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (bytes < 1024) return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(1)} ${unit}`;
    bytes /= 1024;
  }
  return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(1)} TiB`;
};

// Pages of [start, pages] runs, each counted once; runs whose place is not known are taken for different ones.
const distinctPages = (runs) => {
  let [sum, end] = [0, -1];
  for (const [start, pages] of runs.toSorted((a, b) => (a[0] ?? -1) - (b[0] ?? -1))) {
    if (start === null) sum += pages;
    else {
      sum += Math.max(start + pages - Math.max(start, end), 0);
      end = Math.max(end, start + pages);
    }
  }
  return sum;
};

// The bytes that pages cover, as the kernel prints resources; nothing where the page size is not known.
const addressText = (start, pages) => {
  if (!DATA.page_size || start === null) return null;
  const [low, high] = [BigInt(start) * BigInt(DATA.page_size), BigInt(start + pages) * BigInt(DATA.page_size) - 1n];
  return `[mem 0x${low.toString(16)}-0x${high.toString(16)}]`;
};
const addressLine = (start, pages) => {
  const words = addressText(start, pages);
  return words === null ? [] : [make("p", { class: "pfn dim" }, words)];
};

const pagesText = (pages) =>
  countText(pages, "page") + (DATA.page_size ? ` (${bytesText(pages * DATA.page_size)})` : "");

const triesText = (tries) => {
  const runs = [];
  for (let at = 0; at < tries.length; at += 2) {
    runs.push(tries[at] === tries[at + 1] ? `${tries[at]}` : `${tries[at]}-${tries[at + 1]}`);
  }
  return runs.join(", ");
};

const byId = (id) => document.getElementById(id);

const addTo = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, action] of Object.entries(value)) element.addEventListener(event, action);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

const make = (tag, attributes = {}, ...children) => addTo(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  addTo(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
