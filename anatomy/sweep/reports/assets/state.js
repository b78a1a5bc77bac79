// What the reader chose, kept in the fragment of the address, so that a view can be linked.
const state = { q: "", sort: null, choices: new Map(), ranges: new Map(), cols: null, open: [], ticked: new Set(), plot: {} };
const listeners = [];
const changed = (what = "all") => {
  for (const listener of listeners) listener(what);
  remember();
};

function fragment() {
  const found = new URLSearchParams();
  if (state.q) found.set("q", state.q);
  if (state.sort) found.set("sort", `${state.sort.down ? "-" : "+"}${state.sort.key}`);
  for (const [key, options] of state.choices) for (const option of options) found.append(`is.${key}`, option);
  for (const [key, text] of state.ranges) found.set(`in.${key}`, text);
  if (state.cols) for (const key of state.cols) found.append("col", key);
  for (const name of state.ticked) found.append("tick", name);
  for (const name of state.open) found.append("open", name);
  for (const [key, value] of Object.entries(state.plot)) if (value) found.set(`plot.${key}`, value);
  return found.toString();
}

const remember = later(() => {
  const now = fragment();
  if (now !== location.hash.slice(1) && (now || location.hash.includes("="))) history.replaceState(null, "", now ? `#${now}` : location.pathname + location.search);
}, 60);

function recall() {
  if (!location.hash.includes("=")) return false;
  const given = new URLSearchParams(location.hash.slice(1));
  const names = new Set(core.by.name.values), known = key => key in core.by;
  state.q = given.get("q") ?? "";
  const sort = given.get("sort");
  state.sort = sort && known(sort.slice(1)) ? { key: sort.slice(1), down: sort[0] === "-" } : state.sort;
  state.choices = new Map();
  state.ranges = new Map();
  state.plot = {};
  for (const [key, value] of given) {
    const column = key.slice(3);
    if (key.startsWith("is.") && known(column)) state.choices.set(column, (state.choices.get(column) ?? new Set()).add(value));
    if (key.startsWith("in.") && known(column)) state.ranges.set(column, value);
    if (key.startsWith("plot.")) state.plot[key.slice(5)] = value;
  }
  const cols = given.getAll("col").filter(known);
  state.cols = cols.length ? cols : null;
  state.open = given.getAll("open").filter(name => names.has(name));
  state.ticked = new Set(given.getAll("tick").filter(name => names.has(name)));
  return true;
}

function clearFilters() {
  state.q = "";
  state.choices = new Map();
  state.ranges = new Map();
  changed("filters");
}
