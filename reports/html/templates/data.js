"use strict";
// The embedded columns. Texts are numbers into DATA.texts; null is unknown.
const DATA = JSON.parse(document.getElementById("data").textContent);
const TABLES = DATA.tables;

const text = (number) => (number === null || number === undefined ? null : DATA.texts[number]);
const cell = (table, column, row) => TABLES[table][column][row];
const cellText = (table, column, row) => text(TABLES[table][column][row]);

// [first, end) of the rows of an attempt in `tries`, `waits`, `map` or `culprits`.
const rowsOf = (attempt, table) => {
  const starts = TABLES.attempts[`${table}_at`];
  return [starts[attempt], starts[attempt + 1]];
};

const range = (first, end) => Array.from({ length: end - first }, (_, place) => first + place);

// Whether this culprit blocked a try: blocked_tries holds first, last, first, last ...
const blockedTry = (culprit, tryIndex) => {
  const tries = cell("culprits", "blocked_tries", culprit);
  if (!tries.length) return cellText("culprits", "effect", culprit) === "delayed";
  for (let at = 0; at < tries.length; at += 2) if (tries[at] <= tryIndex && tryIndex <= tries[at + 1]) return true;
  return false;
};
