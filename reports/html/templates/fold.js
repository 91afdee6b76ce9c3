// Rows of a table that say the same, as one row with their number.

// The rows in order, those of one key together where the first of them stands; `key` null: nothing is folded.
const foldRows = (rows, key) => {
  if (key === null) return rows.map((row) => [row]);
  const groups = new Map();
  for (const row of rows) {
    const of = key(row);
    if (groups.has(of)) groups.get(of).push(row);
    else groups.set(of, [row]);
  }
  return [...groups.values()];
};

// What all of a column's values come to; null where none is known.
const leastOf = (column) => (rows) => {
  const known = rows.map(column.of).filter((value) => value !== null);
  return known.length ? Math.min(...known) : null;
};
const mostOf = (column) => (rows) => {
  const known = rows.map(column.of).filter((value) => value !== null);
  return known.length ? Math.max(...known) : null;
};

// A column that shows this of several rows; without `of`, what their first row says.
const folded = (column, of, words = null) => ({ ...column, total: of, totalWords: words });

const culpritKey = (row) =>
  ["attempt", "cause", "verdict", "effect", "holder", "taken_by", "released_by", "mechanism", "allocated_by", "file", "why", "order", "release"]
    .map((column) => cell("culprits", column, row)).join();

const culpritRuns = (rows) => rows.map((row) => [cell("culprits", "start_pfn", row), cell("culprits", "pages", row)]);
const firstPfnAndMore = (rows) => {
  const known = culpritRuns(rows).filter(([start]) => start !== null).map(([start]) => start);
  return known.length ? `${pfnText(Math.min(...known))} and ${(rows.length - 1).toLocaleString("en")} more` : "";
};
