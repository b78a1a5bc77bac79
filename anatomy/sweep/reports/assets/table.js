// The table of all variants: only the rows in sight are in the page, so that ten thousand scroll as lightly as twenty.
const ROW = 34, SPARE = 12;
const table = { active: 0, rows: new Map() };

function buildTable() {
  const place = $("#table");
  place.replaceChildren(toolbar(), make("div", { class: "chips" }), make("div", { class: "scroll rows" },
    make("table", { class: "grid virtual", "aria-describedby": "table-keys" }, make("colgroup"), make("thead"), make("tbody"))),
    make("p", { class: "note", id: "table-keys" }, "Keys, when a row has the focus: arrows move, Enter opens, Space ticks."));
  table.scroll = $(".rows", place);
  table.head = $("thead", place);
  table.body = $("tbody", place);
  table.columns = $("colgroup", place);
  table.element = $("table", place);
  let waiting = false;
  table.scroll.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawRows(); });
  });
  new ResizeObserver(() => drawRows()).observe(table.scroll);
  table.body.addEventListener("keydown", keys);
  table.body.addEventListener("click", clicked);
}

function toolbar() {
  const search = make("input", { type: "search", id: "filter", placeholder: "words of a variant\u2026", oninput: later(e => {
    state.q = e.target.value;
    changed("filters");
  }, 80) });
  const chooser = make("div", { popover: "auto", class: "menu", id: "chooser" });
  return make("div", { class: "tools" },
    make("label", {}, "Filter ", search),
    make("span", { id: "count", role: "status" }),
    make("span", { class: "grow" }),
    make("button", { type: "button", id: "compare", disabled: true, onclick: () => openDetail([...state.ticked]) }, "Compare"),
    make("button", { type: "button", id: "columns", popovertarget: "chooser", onclick: () => fillChooser(chooser) }, "Columns"), chooser,
    copier("Copy as CSV", asCsv));
}

function fillChooser(menu) {
  const shown = new Set(columnsShown().map(c => c.key));
  menu.replaceChildren(make("b", {}, "Columns"), ...core.columns.filter(c => c.key !== "name").map(c =>
    make("label", { title: c.hint }, make("input", { type: "checkbox", checked: shown.has(c.key), onchange: e => {
      e.target.checked ? shown.add(c.key) : shown.delete(c.key);
      state.cols = core.columns.filter(d => shown.has(d.key)).map(d => d.key);
      changed("columns");
    } }), ` ${c.key.startsWith("group.") || c.key.startsWith("letters.") || c.key.startsWith("solved.") ? c.hint : c.title}`)));
  below(menu, $("#columns"));
}

function below(menu, button) {
  const at = button.getBoundingClientRect();
  menu.style.top = `${Math.min(at.bottom + 4, innerHeight - 220)}px`;
  menu.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - 300))}px`;
}

function drawHead() {
  const columns = columnsShown();
  table.shown = columns;
  const widths = columns.map(width);
  table.columns.replaceChildren(make("col", { style: "width:36px" }), ...widths.map(w => make("col", { style: `width:${w}px` })));
  table.element.style.width = `max(100%, ${widths.reduce((a, b) => a + b, 36)}px)`;
  table.element.setAttribute("aria-colcount", columns.length + 1);
  const heads = columns.map(c => {
    const on = state.sort?.key === c.key;
    return make("th", { scope: "col", class: c.kind === "number" ? "n" : "", title: c.hint, "aria-sort": on ? (state.sort.down ? "descending" : "ascending") : "none" },
      make("button", { type: "button", "data-sort": c.key, onclick: () => {
        state.sort = { key: c.key, down: on ? !state.sort.down : c.kind === "number" && c.form !== "bound" };
        changed("sort");
        $(`[data-sort="${CSS.escape(c.key)}"]`, table.head).focus();
      } }, c.title));
  });
  const filters = columns.map(c => make("td", {}, c.kind === "choice" ? choiceFilter(c) : c.kind === "number" ? rangeFilter(c) : ""));
  table.head.replaceChildren(make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "tick to compare")), heads), make("tr", { class: "filters" }, make("td"), filters));
}

function width(column) {
  let longest = column.title.length + 2;
  const step = Math.max(1, Math.floor(core.count / 400));
  for (let k = 0; k < core.count; k += step) longest = Math.max(longest, shownValue(column, k).length + (column.low ? intervalWords(column, k).length * 0.88 + 1 : 0));
  return Math.round(Math.max(84, Math.min(column.key === "name" ? 230 : 250, longest * 7.6 + 22)));
}

function choiceFilter(column) {
  const chosen = state.choices.get(column.key);
  const words = chosen ? (chosen.size === 1 ? [...chosen][0] : `${chosen.size} of ${column.options.length}`) : "any";
  const menu = make("div", { popover: "auto", class: "menu", id: `menu-${core.columns.indexOf(column)}` });
  const button = make("button", { type: "button", class: chosen ? "filter on" : "filter", "data-filter": column.key, popovertarget: menu.id, title: `filter ${column.title}`, "aria-label": `filter ${column.title}: ${words}` }, words);
  button.addEventListener("click", () => {
    const options = column.values.includes(null) ? [...column.options, NONE] : column.options;
    menu.replaceChildren(...options.map(option => make("label", {}, make("input", { type: "checkbox", value: option, checked: state.choices.get(column.key)?.has(option), onchange: e => {
      const now = new Set(state.choices.get(column.key));
      e.target.checked ? now.add(option) : now.delete(option);
      now.size ? state.choices.set(column.key, now) : state.choices.delete(column.key);
      changed("choices");
      const size = now.size;
      button.textContent = size ? (size === 1 ? [...now][0] : `${size} of ${options.length}`) : "any";
      button.className = size ? "filter on" : "filter";
    } }), ` ${option}`)));
    below(menu, button);
  });
  return [button, menu];
}

function rangeFilter(column) {
  const input = make("input", { type: "text", class: "range", "data-filter": column.key, placeholder: "min..max", title: "for example 0.5..0.9, ..0.9, >0.5", "aria-label": `range of ${column.title}, for example 0.5..0.9`, oninput: later(e => {
    const text = e.target.value.trim();
    text ? state.ranges.set(column.key, text) : state.ranges.delete(column.key);
    const limits = text ? range(text) : [0, 0];
    e.target.setAttribute("aria-invalid", !limits || limits.some(Number.isNaN));
    changed("ranges");
  }, 120) });
  input.value = state.ranges.get(column.key) ?? "";
  return input;
}

function drawChips() {
  const chips = [];
  for (const [key, options] of state.choices) chips.push([`${core.by[key].title}: ${[...options].join(" or ")}`, () => state.choices.delete(key)]);
  for (const [key, text] of state.ranges) chips.push([`${core.by[key].title}: ${text}`, () => state.ranges.delete(key)]);
  const place = $("#table .chips");
  place.replaceChildren(...chips.map(([words, remove]) => make("button", { type: "button", class: "chip", onclick: () => { remove(); changed("filters"); } }, words, make("span", { "aria-hidden": "true" }, " \u00d7"), make("span", { class: "unseen" }, ", remove this filter"))));
  if (chips.length || state.q) place.append(make("button", { type: "button", class: "small", id: "clear", onclick: clearFilters }, "Clear filters"));
}

function drawTable(what) {
  refresh();
  table.active = Math.min(table.active, Math.max(0, view.rows.length - 1));
  if (!["choices", "ranges"].includes(what) || !table.shown) drawHead();
  drawChips();
  const search = $("#filter");
  if (search.value !== state.q) search.value = state.q;
  $("#count").textContent = `${thousands(view.rows.length)} of ${thousands(core.count)}`;
  const compare = $("#compare");
  compare.disabled = state.ticked.size < 1;
  compare.textContent = state.ticked.size > 1 ? `Compare ${state.ticked.size}` : state.ticked.size ? "Open ticked" : "Compare";
  table.element.setAttribute("aria-rowcount", view.rows.length + 2);
  table.element.style.setProperty("--head", `${table.head.offsetHeight}px`);
  drawRows(true);
}

function drawRows(anew = false) {
  const head = table.head.offsetHeight;
  const first = Math.max(0, Math.floor((table.scroll.scrollTop - head) / ROW) - SPARE);
  const last = Math.min(view.rows.length, Math.ceil((table.scroll.scrollTop + table.scroll.clientHeight) / ROW) + SPARE);
  if (!anew && first === table.first && last === table.last) return;
  const focused = table.body.contains(document.activeElement);
  table.first = first;
  table.last = last;
  // A row that stays in sight stays the same element: one that is replaced between press and release is never clicked.
  const before = anew ? new Map() : table.rows, columns = table.shown.length + 1;
  table.rows = new Map(view.rows.slice(first, last).map((k, i) => [k, before.get(k) ?? drawRow(k, first + i)]));
  const rows = [...table.rows.values()];
  const none = rows.length ? [] : [make("tr", {}, make("td", { colspan: columns, class: "none" }, "No variant is left by these filters."))];
  arrange([blank(first * ROW, columns), ...rows, ...none, blank((view.rows.length - last) * ROW, columns)].filter(Boolean));
  if (focused && !table.body.contains(document.activeElement)) focusRow(false);
}

function blank(height, columns) {
  return height > 0 ? make("tr", { class: "blank", "aria-hidden": "true", style: `height:${height}px` }, make("td", { colspan: columns })) : null;
}

/** Make `nodes` the children of the table's body; those that are there already are not touched. */
function arrange(nodes) {
  const kept = new Set(nodes);
  for (const node of [...table.body.children]) if (!kept.has(node)) node.remove();
  let at = table.body.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else table.body.insertBefore(node, at);
  }
}

function drawRow(k, place) {
  const name = core.by.name.values[k];
  const cells = table.shown.map(c => {
    const words = shownValue(c, k), interval = intervalWords(c, k);
    if (c.key === "name") return make("th", { scope: "row" }, make("button", { type: "button", class: "name", tabindex: "-1", "data-open": name, title: name }, words));
    const loud = c.key === "state" && words !== "done" ? `badge ${words}` : "";
    return make("td", { class: c.kind === "number" ? "n" : "", title: interval ? `${words}, interval of 95 %: ${interval}` : words }, loud ? make("span", { class: loud }, words) : words, interval ? make("small", {}, ` ${interval}`) : null);
  });
  const tick = make("td", {}, make("input", { type: "checkbox", tabindex: "-1", "aria-label": `tick ${name}`, "data-tick": name, checked: state.ticked.has(name) }));
  const control = core.by.role.options[core.by.role.values[k]] === "control";
  return make("tr", { class: control ? "row control" : "row", "data-k": k, "aria-rowindex": place + 3, tabindex: place === table.active ? "0" : "-1" }, tick, cells);
}

function focusRow(scroll = true) {
  if (scroll) {
    const top = table.active * ROW, head = table.head.offsetHeight, room = table.scroll.clientHeight - head;
    if (top < table.scroll.scrollTop) table.scroll.scrollTop = top;
    else if (top + ROW > table.scroll.scrollTop + room) table.scroll.scrollTop = top + ROW - room + 2;
    drawRows(true);
  }
  const row = $(`tr[data-k="${view.rows[table.active]}"]`, table.body);
  row?.focus({ preventScroll: true });
}

function keys(event) {
  const page = Math.max(1, Math.floor(table.scroll.clientHeight / ROW) - 3);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -view.rows.length, End: view.rows.length };
  const name = core.by.name.values[view.rows[table.active]];
  if (event.key in moves) {
    table.active = Math.max(0, Math.min(view.rows.length - 1, table.active + moves[event.key]));
    focusRow();
  } else if (event.key === "Enter") openDetail([name]);
  else if (event.key === " ") tick(name);
  else return;
  event.preventDefault();
}

function tick(name) {
  state.ticked.has(name) ? state.ticked.delete(name) : state.ticked.add(name);
  changed("ticked");
}

function clicked(event) {
  const row = event.target.closest("tr.row");
  if (!row) return;
  table.active = view.rows.indexOf(Number(row.dataset.k));
  const box = event.target.closest("[data-tick]");
  if (box) return tick(box.dataset.tick);
  if (getSelection().toString()) return;
  event.stopPropagation();
  openDetail([core.by.name.values[row.dataset.k]]);
}
