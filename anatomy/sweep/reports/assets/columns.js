// Columns: what a cell shows, which rows the filters keep, and in which order.
const MINUS = "\u2212", NONE = "\u2013";
const short = v => String(Number(v.toPrecision(4))).replace("-", MINUS);

function big(v) {
  const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, unit] of units) if (v >= size) return `${(v / size).toPrecision(3)} ${unit}`;
  return String(v);
}

// A bound comes in four digits, rounded outward; what is written here never rounds it again.
const boundWords = v => (v >= 1e6 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential() : thousands(v)).replace("e+", "e");
const FORMS = { steps: v => thousands(Math.round(v)), score: v => v.toFixed(3), count: thousands, big, bound: boundWords, short };

function shownValue(column, k) {
  const value = column.values[k];
  if (value === null || value === undefined) return NONE;
  if (column.kind === "choice") return column.options[value];
  if (column.kind === "text") return value;
  return typeof value === "number" ? FORMS[column.form](value) : value === "inf" ? (column.key === "upper" ? "none" : "\u221e") : String(value);
}

function intervalWords(column, k) {
  const low = column.low?.[k], high = column.high?.[k];
  return low === null || low === undefined || high === null || high === undefined ? "" : column.form === "steps" ? `${thousands(Math.round(low))}\u2013${thousands(Math.round(high))}` : `${low.toFixed(3)}\u2013${high.toFixed(3)}`;
}

const numberOf = value => (typeof value === "number" ? value : value === "inf" ? Infinity : value === "-inf" ? -Infinity : null);

function range(text) {
  // "0.5..0.9", "0.5..", "..0.9", ">0.5", "<=0.9", "0.5"
  const said = text.trim().replaceAll(",", "").replace(MINUS, "-");
  const parts = said.split("..");
  const bound = (word, otherwise) => (word.trim() === "" ? otherwise : Number(word));
  if (parts.length === 2) return [bound(parts[0], -Infinity), bound(parts[1], Infinity), false, false];
  const match = said.match(/^([<>]=?|)\s*(.+)$/);
  if (!match) return null;
  const value = match[2] === "inf" ? Infinity : Number(match[2]);
  if (Number.isNaN(value)) return null;
  if (match[1].startsWith(">")) return [value, Infinity, match[1] === ">", false];
  if (match[1].startsWith("<")) return [-Infinity, value, false, match[1] === "<"];
  return [value, value, false, false];
}

function inside(value, [low, high, openLow, openHigh]) {
  if (value === null) return false;
  return (openLow ? value > low : value >= low) && (openHigh ? value < high : value <= high);
}

function prepare(given) {
  core = given;
  core.by = Object.fromEntries(core.columns.map(c => [c.key, c]));
  core.count = core.by.name.values.length;
  core.at = new Map(core.by.name.values.map((name, k) => [name, k]));
  const spoken = core.columns.filter(c => c.kind !== "number");
  core.words = Array.from({ length: core.count }, (_, k) => spoken.map(c => shownValue(c, k)).join(" ").toLowerCase());
  const ranked = core.tasks.find(t => t.supported); // no order of merit where the controls support none
  if (ranked) state.sort = { key: `score.${ranked.label}`, down: true };
}

function kept() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = [];
  for (const [key, options] of state.choices) {
    const column = core.by[key];
    const wanted = new Set([...options].map(o => (o === NONE ? null : column.options?.indexOf(o))));
    tests.push(k => wanted.has(column.values[k]));
  }
  for (const [key, text] of state.ranges) {
    const column = core.by[key], limits = range(text);
    if (limits && !Number.isNaN(limits[0]) && !Number.isNaN(limits[1])) tests.push(k => inside(numberOf(column.values[k]), limits));
  }
  const found = [];
  for (let k = 0; k < core.count; k++) {
    if (words.every(w => core.words[k].includes(w)) && tests.every(test => test(k))) found.push(k);
  }
  return found;
}

function sorted(rows) {
  if (!state.sort) return rows;
  const column = core.by[state.sort.key], sign = state.sort.down ? -1 : 1;
  const value = column.kind === "number" ? k => numberOf(column.values[k]) : k => (column.values[k] === null ? null : shownValue(column, k));
  const compare = column.kind === "number" ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : (a, b) => a.localeCompare(b, "en", { numeric: true });
  return rows
    .map(k => [value(k), k])
    .sort(([a, i], [b, j]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)) || i - j)
    .map(([, k]) => k);
}

const view = { rows: [], on: new Set(), every: true };
function refresh() {
  view.rows = sorted(kept());
  view.on = new Set(view.rows);
  view.every = view.rows.length === core.count;
}

function columnsShown() {
  if (state.cols) return core.columns.filter(c => state.cols.includes(c.key));
  return core.columns.filter(c => c.shown);
}

function asCsv() {
  const quote = v => (/[",\n\r]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v);
  const columns = columnsShown();
  const heads = columns.flatMap(c => (c.low ? [c.key, `${c.key}.low`, `${c.key}.high`] : [c.key]));
  const plain = (c, v) => (v === null || v === undefined ? "" : c.kind === "choice" ? c.options[v] : String(v));
  const lines = view.rows.map(k => columns.flatMap(c => (c.low ? [c.values[k], c.low[k], c.high[k]] : [c.values[k]]).map(v => quote(plain(c, v)))).join(","));
  return [heads.map(quote).join(","), ...lines].join("\n") + "\n";
}
