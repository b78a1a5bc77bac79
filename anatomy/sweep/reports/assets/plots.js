// Plots: Vega-Lite without eval, its expressions read by its own interpreter; score against cost, and one ranking against another.
const OKABE = { light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#3a86c8", "#555555", "#999999"], dark: ["#56b4e9", "#e69f00", "#2fc59b", "#e29cc4", "#f0e442", "#ff8a5c", "#c8c8c8", "#8a8a8a"] };
const MOST_POINTS = 2000, BEST_POINTS = 20, COLOURS = 7;
const ink = () => (dark.matches ? { text: "#e6eaf0", soft: "#9aa5b5", line: "#2c333e", ground: "#14171c", colours: OKABE.dark } : { text: "#1b1f27", soft: "#5b6472", line: "#e3e7ed", ground: "#ffffff", colours: OKABE.light });

let arrived;
function vega() {
  arrived ??= unpack("plots").then(code => {
    document.head.append(make("script", {}, code));
    if (!window.vegaEmbed) throw new Error("the plots did not load");
  });
  return arrived;
}

function config() {
  const { text, soft, line } = ink(), font = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
  return {
    background: "transparent", font, view: { stroke: null },
    axis: { labelColor: soft, titleColor: text, titleFontWeight: 500, titleFontSize: 12.5, labelFontSize: 11.5, gridColor: line, domain: false, tickColor: line, titlePadding: 8 },
    legend: { labelColor: text, titleColor: soft, titleFontWeight: 500, labelFontSize: 12, symbolSize: 70, labelLimit: 220 }, title: { color: text, anchor: "start", fontWeight: 600, fontSize: 13.5 },
  };
}

async function embed(element, spec, weight = 0) {
  await vega();
  const result = await vegaEmbed(element, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", config: config(), ...spec }, {
    ast: true, renderer: weight > 1500 ? "canvas" : "svg", actions: { export: true, source: false, compiled: false, editor: false },
    tooltip: { theme: dark.matches ? "dark" : "light" }, downloadFileName: `${core.space}-plot`.replace(/[^\w-]/g, "_"),
  });
  result.view.addEventListener("click", (_, item) => {
    if (Number.isInteger(item?.datum?.k)) openDetail([core.by.name.values[item.datum.k]]);
  });
  return result;
}

// Which rows a plot shows: all, or the controls, the fronts, the best, and every so many of the rest.
function sample(rows, most, keep = []) {
  if (rows.length <= most) return { rows, words: "" };
  const task = core.tasks[0], score = task ? core.by[`score.${task.label}`].values : [];
  const always = new Set([...keep, ...rows.filter(isControl), ...core.best, ...[...rows].sort((a, b) => (score[b] ?? -1) - (score[a] ?? -1)).slice(0, Math.min(BEST_POINTS, most / 4))]);
  const rest = rows.filter(k => !always.has(k)), every = Math.ceil(rest.length / Math.max(1, most - always.size));
  const shown = [...rows.filter(k => always.has(k)), ...rest.filter((_, i) => i % every === 0)];
  return { rows: shown, words: `Shown are ${thousands(shown.length)} of ${thousands(rows.length)}: the controls, what no other beats, the best, and every ${every === 2 ? "second" : every === 3 ? "third" : `${every}th`} of the others.` };
}

const isControl = k => core.by.role.options[core.by.role.values[k]] === "control";
const known = v => typeof v === "number" && v > 0;

function colouring() {
  const key = state.plot.colour in core.by ? state.plot.colour : "role";
  const column = core.by[key], counts = new Map();
  column.values.forEach(v => v !== null && counts.set(v, (counts.get(v) ?? 0) + 1));
  const often = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, COLOURS).map(([v]) => v).sort((a, b) => a - b);
  const named = new Set(often), other = counts.size > COLOURS ? "another" : null;
  const names = often.map(v => column.options[v]);
  const rest = column.values.includes(null) && key !== "role" ? [NONE] : [];
  const domain = key === "role" ? ["member", "control"].filter(n => names.includes(n)) : [...names, ...(other ? [other] : []), ...rest];
  const of = k => (column.values[k] === null ? NONE : named.has(column.values[k]) ? column.options[column.values[k]] : other);
  return { key, title: column.title, of, scale: { domain, range: domain.map((_, i) => ink().colours[i]) } };
}

function chooser(label, options, value, chosen) {
  const select = make("select", { onchange: e => chosen(e.target.value) }, options.map(([v, words]) => make("option", { value: v, selected: v === value }, words)));
  return make("label", {}, `${label} `, select);
}

const COSTS = [["parameters", "parameters of one mixing layer", "~s"], ["flops", "FLOPs of one forward pass of the mixer", "~s"], ["upper", "upper bound of the Lipschitz constant", "~g"]];

async function drawCost() {
  const task = core.tasks[Number(state.plot.task ?? 0)] ?? core.tasks[0], colours = colouring();
  const score = core.by[`score.${task.label}`];
  const factors = core.columns.filter(c => c.kind === "choice" && (c.key === "role" || c.key.startsWith("hole.") || c.key === "verdict") && c.options.length > 1);
  $("[data-controls=cost]").replaceChildren(
    core.tasks.length > 1 ? chooser("Task", core.tasks.map((t, i) => [String(i), t.label]), String(core.tasks.indexOf(task)), v => { state.plot.task = v; changed("plots"); }) : "",
    chooser("Colour by", factors.map(c => [c.key, c.title]), colours.key, v => { state.plot.colour = v === "role" ? "" : v; changed("plots"); }));
  const place = $("[data-plot=cost]");
  const drawn = COSTS.filter(([key]) => core.by[key]?.values.some(known));
  while (place.children.length < drawn.length) place.append(make("figure"));
  const scored = core.by.name.values.map((_, k) => k).filter(k => score.values[k] !== null);
  const fronts = drawn.flatMap(([key]) => task.front[key]);
  const { rows, words } = sample(scored, MOST_POINTS, fronts);
  $("[data-note=cost]").textContent = [words, view.every ? "" : "What the filters of the table leave out is pale."].filter(Boolean).join(" ");
  await Promise.all(drawn.map(async ([key, title, format], i) => {
    const figure = place.children[i];
    await embed(figure, costSpec(figure, rows, task, score, key, title, format, colours), rows.length);
  }));
}

function costSpec(figure, rows, task, score, key, title, format, colours) {
  const { soft, text } = ink(), cost = core.by[key], front = new Set(task.front[key]);
  const finite = rows.filter(k => known(cost.values[k]));
  const margins = [["none", k => cost.values[k] === "inf"], ["unknown", k => !known(cost.values[k]) && cost.values[k] !== "inf"]].filter(([, is]) => rows.some(is));
  const room = Math.max(170, figure.clientWidth - 80 - 62 * margins.length);
  const point = k => ({ k, x: known(cost.values[k]) ? cost.values[k] : null, y: score.values[k], low: score.low[k], high: score.high[k], c: colours.of(k), role: isControl(k) ? "control" : "member", front: front.has(k), on: view.on.has(k), variant: core.by.name.values[k], cost: shownValue(cost, k), score: `${shownValue(score, k)} ${intervalWords(score, k) ? `(${intervalWords(score, k)})` : ""}` });
  const x = { field: "x", type: "quantitative", scale: { type: "log", nice: false, padding: 12 }, axis: { title, format, tickCount: 5, grid: true, labelOverlap: "greedy" } };
  const y = { field: "y", type: "quantitative", scale: { zero: false, nice: true }, axis: { title: key === "parameters" || figure.clientWidth > 600 ? `score on ${task.label}` : null, tickCount: 6 } };
  const colour = { field: "c", type: "nominal", scale: colours.scale, legend: null };
  const tooltip = [{ field: "variant" }, { field: "score", title: "score (95 %)" }, { field: "cost", title: cost.title }, ...(colours.key === "role" ? [{ field: "role" }] : [{ field: "c", title: colours.title }])];
  const opacity = { condition: { test: "datum.on", value: rows.length > 800 ? 0.6 : 0.85 }, value: 0.08 };
  const layers = [
    { data: { values: task.front[key].map(k => ({ x: cost.values[k], y: score.values[k] })) }, mark: { type: "line", interpolate: "step-after", strokeDash: [5, 4], color: soft, strokeWidth: 1.2 }, encoding: { x, y } },
    { data: { values: finite.map(point) }, layer: [
      ...(rows.length <= 300 ? [{ transform: [{ filter: "isValid(datum.low)" }], mark: { type: "rule", strokeWidth: 1 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour, opacity: { condition: { test: "datum.on", value: 0.35 }, value: 0.05 } } }] : []),
      { mark: { type: "point", filled: true, size: rows.length > 800 ? 26 : 52 }, encoding: { x, y, color: colour, opacity, tooltip, shape: { field: "role", type: "nominal", scale: { domain: ["member", "control"], range: ["circle", "diamond"] }, legend: null },
        size: { condition: { test: "datum.role == 'control'", value: 110 }, value: rows.length > 800 ? 26 : 52 }, stroke: { condition: { test: "datum.front", value: text }, value: null }, strokeWidth: { condition: { test: "datum.front", value: 1.3 }, value: 0 } } }] },
  ];
  margins.forEach(([name, is], i) => {
    const at = room + 46 + 62 * i;
    layers.push({ data: { values: rows.filter(is).map(point) }, mark: { type: "tick", orient: "horizontal", thickness: 2, size: 22 }, encoding: { x: { value: at }, y, color: colour, opacity, tooltip } });
    layers.push({ data: { values: [{ name }] }, mark: { type: "text", fontSize: 11, dy: 16, color: soft }, encoding: { x: { value: at }, y: { value: 270 }, text: { value: name === "none" ? "no bound" : "unknown" } } });
    layers.push({ data: { values: [{}] }, mark: { type: "rule", color: soft, strokeOpacity: 0.35 }, encoding: { x: { value: at - 31 }, y: { value: 0 }, y2: { value: 270 } } });
  });
  return { width: room, height: 270, padding: { left: 4, top: 6, right: 22 + 62 * margins.length, bottom: 6 }, autosize: { type: "pad", contains: "content" }, layer: layers };
}

function legend(place, colours) {
  let element = $(".legend", place.parentElement);
  if (!element) place.before((element = make("p", { class: "legend" })));
  element.replaceChildren(...colours.scale.domain.map((name, i) => make("span", {}, make("i", { style: `background:${colours.scale.range[i]}`, class: name === "control" ? "diamond" : "" }), name)));
}

// One ranking against another: tasks, or seeds of a task.
function rankings() {
  const found = [];
  core.tasks.forEach((a, i) => core.tasks.slice(i + 1).forEach((b, j) => found.push([`${a.label} and ${b.label}`, i, null, i + 1 + j, null])));
  return found;
}

async function drawAgreement() {
  const pairs = rankings(), place = $("[data-plot=agreement]");
  const details = await data("details");
  core.tasks.forEach((task, t) => {
    const seeds = [...new Set(details.flatMap(d => d.runs.filter(r => r[0] === t && r[5] !== null).map(r => r[2])))].sort((a, b) => a - b);
    if (seeds.length > 1) pairs.push([`${task.label}, seeds ${seeds[0]} and ${seeds[1]}`, t, seeds[0], t, seeds[1]]);
  });
  if (!pairs.length) return place.replaceChildren();
  const [words, a, seedA, b, seedB] = pairs[Number(state.plot.pair ?? 0)] ?? pairs[0];
  $("[data-controls=agreement]").replaceChildren(chooser("Compare", pairs.map(([w], i) => [String(i), w]), String(pairs.findIndex(p => p[0] === words)), v => { state.plot.pair = v; changed("plots"); }));
  const score = (k, t, seed) => (seed === null ? core.by[`score.${core.tasks[t].label}`].values[k] : details[k].runs.find(r => r[0] === t && r[2] === seed && r[1] === core.tasks[t].budgets.at(-1))?.[5] ?? null);
  const colours = colouring();
  const every = core.by.name.values.map((_, k) => k).map(k => ({ k, x: score(k, a, seedA), y: score(k, b, seedB) })).filter(p => p.x !== null && p.y !== null && p.x !== undefined);
  const { rows, words: left } = sample(every.map(p => p.k), MOST_POINTS);
  const chosen = new Set(rows), name = (t, seed) => `score on ${core.tasks[t].label}${seed === null ? "" : `, seed ${seed}`}`;
  $("[data-note=agreement]").textContent = left;
  const figure = place.firstElementChild ?? place.appendChild(make("figure", { class: "square" }));
  const values = every.filter(p => chosen.has(p.k)).map(p => ({ ...p, variant: core.by.name.values[p.k], role: isControl(p.k) ? "control" : "member", c: colours.of(p.k), on: view.on.has(p.k) }));
  const side = Math.max(180, Math.min(380, figure.clientWidth - 70));
  const axis = (field, title) => ({ field, type: "quantitative", scale: { zero: false, nice: true }, axis: { title, tickCount: 6 } });
  await embed(figure, { width: side, height: side, data: { values }, layer: [
    ...(a === b ? [{ data: { values: [{ v: Math.min(...values.map(p => Math.min(p.x, p.y))) }, { v: Math.max(...values.map(p => Math.max(p.x, p.y))) }] }, mark: { type: "line", color: ink().soft, strokeDash: [5, 4] }, encoding: { x: { field: "v", type: "quantitative" }, y: { field: "v", type: "quantitative" } } }] : []),
    { mark: { type: "point", filled: true, size: rows.length > 800 ? 22 : 48 }, encoding: { x: axis("x", name(a, seedA)), y: axis("y", name(b, seedB)), color: { field: "c", type: "nominal", scale: colours.scale, legend: null }, shape: { field: "role", type: "nominal", scale: { domain: ["member", "control"], range: ["circle", "diamond"] }, legend: null }, size: { condition: { test: "datum.role == 'control'", value: 110 }, value: rows.length > 800 ? 22 : 48 }, opacity: { condition: { test: "datum.on", value: 0.75 }, value: 0.08 }, tooltip: [{ field: "variant" }, { field: "x", format: ".3f", title: name(a, seedA) }, { field: "y", format: ".3f", title: name(b, seedB) }] } },
  ] }, rows.length);
  legend(place, colours);
}
