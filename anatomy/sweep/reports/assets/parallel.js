// Parallel coordinates: an axis for each part and each score; a drag over an axis becomes a filter of the table.
const MOST_LINES = 800;

function axes() {
  const found = core.holes.map(h => core.by[`hole.${h}`]).filter(c => c.options.length > 1);
  for (const task of core.tasks) found.push(core.by[`score.${task.label}`]);
  for (const key of ["parameters", "upper"]) if (core.by[key]?.values.some(known)) found.push(core.by[key]);
  return found.map(column => {
    if (column.kind === "choice") {
      const size = column.options.length, spread = 0.62 / size;
      return { column, at: k => (column.values[k] === null ? null : 1 - (column.values[k] + 0.5) / size + spread * (((k * 0.618034) % 1) - 0.5)), ticks: column.options.map((o, i) => [1 - (i + 0.5) / size, o]) };
    }
    const logs = column.form !== "score", scale = v => (logs ? Math.log10(v) : v);
    const values = column.values.filter(v => (logs ? known(v) : typeof v === "number")).map(scale);
    const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
    const back = y => (logs ? 10 ** (low + y * span) : low + y * span);
    return { column, back, at: k => { const v = column.values[k]; return typeof v === "number" && (!logs || v > 0) ? (scale(v) - low) / span : null; },
      ticks: [0, 0.25, 0.5, 0.75, 1].map(y => [y, column.form === "score" ? back(y).toFixed(2) : tickWords(back(y))]) };
  });
}

const tickWords = v => (v >= 1000 ? big(v) : v >= 10 ? v.toFixed(0) : v >= 1 ? v.toFixed(1) : v.toPrecision(2));

function band(axis) {
  // Where the filter of an axis lies on it, as pairs of heights.
  const { column } = axis;
  const options = state.choices.get(column.key), text = state.ranges.get(column.key);
  if (options) return axis.ticks.filter(([, o]) => options.has(o)).map(([y]) => [y - 0.45 / axis.ticks.length, y + 0.45 / axis.ticks.length]);
  const limits = text ? range(text) : null;
  if (!limits || limits.some(Number.isNaN)) return [];
  const height = v => { const [low, high] = [axis.back(0), axis.back(1)], scale = w => (column.form === "score" ? w : Math.log10(Math.max(w, 1e-300))); return Math.max(0, Math.min(1, (scale(Math.max(v, column.form === "score" ? v : 1e-300)) - scale(low)) / (scale(high) - scale(low) || 1))); };
  return [[limits[0] === -Infinity ? 0 : height(limits[0]), limits[1] === Infinity ? 1 : height(limits[1])]];
}

function brushed(found, value) {
  const { x, y } = value;
  found.forEach((axis, i) => {
    if (i < x[0] - 0.3 || i > x[1] + 0.3) return;
    const [low, high] = [Math.min(...y), Math.max(...y)], key = axis.column.key;
    if (axis.column.kind === "choice") {
      const options = axis.ticks.filter(([at]) => at >= low - 0.5 / axis.ticks.length && at <= high + 0.5 / axis.ticks.length).map(([, o]) => o);
      if (options.length) state.choices.set(key, new Set(options));
    } else {
      const digits = v => Number(v.toPrecision(3));
      state.ranges.set(key, `${low <= 0.01 ? "" : digits(axis.back(low))}..${high >= 0.99 ? "" : digits(axis.back(high))}`);
    }
  });
  changed("filters");
}

async function drawParallel() {
  const place = $("[data-plot=parallel]"), figure = place.firstElementChild ?? place.appendChild(make("figure", { class: "full" }));
  const found = axes(), task = core.tasks[0], score = core.by[`score.${task.label}`].values, { text, soft, line } = ink();
  const trained = core.by.name.values.map((_, k) => k).filter(k => score[k] !== null && !isControl(k));
  const { rows, words } = sample(trained, MOST_LINES);
  const point = k => found.map((axis, i) => ({ k, i, y: axis.at(k), score: score[k], variant: core.by.name.values[k] }));
  const long = k => point(k).filter(p => p.y !== null);
  const order = [...rows].sort((a, b) => score[a] - score[b]);
  const on = order.filter(k => view.on.has(k)), off = order.filter(k => !view.on.has(k));
  const labels = found.flatMap((axis, i) => axis.ticks.map(([y, label]) => ({ i, y, label: label.length > 16 ? `${label.slice(0, 15)}\u2026` : label })));
  const bands = found.flatMap((axis, i) => band(axis).map(([y, y2]) => ({ i: i - 0.06, i2: i + 0.06, y, y2 })));
  const width = Math.max(found.length * 92, figure.clientWidth - 70), x = { field: "i", type: "quantitative", axis: null, scale: { domain: [-0.08, found.length - 0.35], nice: false } };
  const y = { field: "y", type: "quantitative", axis: null, scale: { domain: [-0.02, 1.02], nice: false } };
  const strokes = (values, mark, encoding) => ({ data: { values: values.flatMap(long) }, mark: { type: "line", ...mark }, encoding: { x, y, detail: { field: "k", type: "nominal" }, ...encoding } });
  const halo = dark.matches ? "#14171c" : "#ffffff";
  const result = await embed(figure, {
    width, height: 340, padding: { left: 6, right: 6, top: 6, bottom: 6 },
    layer: [
      ...(off.length ? [strokes(off, { color: soft, opacity: 0.05, strokeWidth: 1 }, {})] : []),
      strokes(on, { opacity: Math.max(0.14, Math.min(0.75, 40 / (on.length + 1))), strokeWidth: on.length < 60 ? 1.8 : 1.1 }, { color: { field: "score", type: "quantitative", scale: { scheme: "viridis", domain: [Math.min(...rows.map(k => score[k])), Math.max(...rows.map(k => score[k]))], reverse: !dark.matches }, legend: { title: `score on ${task.label}`, orient: "bottom", gradientLength: 180, format: ".2f", direction: "horizontal" } } }),
      { data: { values: found.map((_, i) => ({ i })) }, mark: { type: "rule", color: line, strokeWidth: 1.5 }, encoding: { x, y: { value: 0 }, y2: { value: 340 } } },
      { data: { values: bands }, mark: { type: "rect", color: ink().colours[1], opacity: 0.35 }, encoding: { x: { ...x }, x2: { field: "i2" }, y, y2: { field: "y2" } } },
      { data: { values: labels }, mark: { type: "text", align: "left", dx: 6, fontSize: 11, stroke: halo, strokeWidth: 3, strokeOpacity: 0.9 }, encoding: { x, y, text: { field: "label" } } },
      { data: { values: labels }, mark: { type: "text", align: "left", dx: 6, fontSize: 11, color: text }, encoding: { x, y, text: { field: "label" } } },
      { data: { values: found.map((axis, i) => ({ i, label: axis.column.title })) }, mark: { type: "text", align: "left", dx: -4, fontSize: 12, fontWeight: 600, color: text, limit: Math.max(86, width / found.length - 8) }, encoding: { x, y: { value: -12 }, text: { field: "label" } } },
      { data: { values: [{ i: 0, y: 0 }] }, params: [{ name: "brush", select: { type: "interval", encodings: ["x", "y"], mark: { fill: ink().colours[1], fillOpacity: 0.25, stroke: ink().colours[1] } } }], mark: { type: "point", opacity: 0 }, encoding: { x, y } },
    ],
  }, 5000);
  const apply = later((_, value) => value?.i && value?.y && brushed(found, { x: value.i, y: value.y }), 300);
  result.view.addSignalListener("brush", apply);
  $("[data-note=parallel]").textContent = [words, view.every ? "" : `${several(on.length, "line")} kept by the filters; the others are pale.`].filter(Boolean).join(" ");
}
