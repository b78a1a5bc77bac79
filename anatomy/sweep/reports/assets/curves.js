// Learning curves: a few in colour over all the others in grey.
const MOST_GREY = 150, IN_COLOUR = 8;

function highlighted(task) {
  const ticked = [...state.ticked].map(name => core.at.get(name));
  if (ticked.length) return ticked.slice(0, IN_COLOUR);
  const score = core.by[`score.${task.label}`].values;
  const best = view.rows.filter(k => score[k] !== null && !isControl(k)).sort((a, b) => score[b] - score[a]).slice(0, 4);
  return [...best, ...core.by.name.values.map((_, k) => k).filter(isControl)].slice(0, IN_COLOUR);
}

function lines(rows, task, curves, what) {
  const found = [];
  for (const k of rows) {
    for (const [t, seed, steps, scores, losses] of curves.runs[k] ?? []) {
      if (t !== task) continue;
      const values = what === "loss" ? losses : scores;
      steps.forEach((step, i) => values[i] !== null && found.push({ k, run: `${k}/${seed}/${steps.at(-1)}`, seed, step, value: values[i], variant: core.by.name.values[k] }));
    }
  }
  return found;
}

async function drawCurves() {
  const curves = await data("curves"), what = state.plot.curve === "loss" ? "loss" : "score", place = $("[data-plot=curves]");
  $("[data-controls=curves]").replaceChildren(chooser("Show", [["score", "score"], ["loss", "loss"]], what, v => { state.plot.curve = v === "score" ? "" : v; changed("plots"); }));
  while (place.children.length < core.tasks.length) place.append(make("figure"));
  const trained = core.by.name.values.map((_, k) => k).filter(k => curves.runs[k]?.length);
  let left = "";
  await Promise.all(core.tasks.map(async (task, t) => {
    const shown = highlighted(task), loud = new Set(shown);
    const quiet = sample(trained.filter(k => !loud.has(k) && view.on.has(k)), MOST_GREY);
    left = quiet.words ? `In grey ${several(quiet.rows.length, "variant")} of ${thousands(trained.length)}.` : "";
    if (!shown.length && !quiet.rows.length) return place.children[t].replaceChildren();
    await embed(place.children[t], curveSpec(place.children[t], task.label, lines(shown, t, curves, what), lines(quiet.rows, t, curves, what), shown, what));
  }));
  const words = state.ticked.size ? "In colour: the ticked variants." : "In colour: the controls and the best four that the filters leave; tick rows of the table for others.";
  $("[data-note=curves]").textContent = [`${words} One line a seed; all are measured on the stream by which the learning rate is chosen.`, left, curves.thinned ? `Of longer curves ${curves.most} points are kept.` : ""].filter(Boolean).join(" ");
}

const DASHES = [[1, 0], [1, 0], [1, 0], [1, 0], [5, 3], [5, 3], [5, 3], [5, 3]];

function curveSpec(figure, title, loud, quiet, shown, what) {
  const { soft, colours } = ink(), names = shown.map(k => core.by.name.values[k]);
  const x = { field: "step", type: "quantitative", axis: { title: "training steps", tickCount: 5, format: "~s" }, scale: { nice: false } };
  const y = { field: "value", type: "quantitative", axis: { title: what, tickCount: 6 }, scale: { zero: false, nice: true } };
  const domain = { domain: names };
  return {
    width: Math.max(180, figure.clientWidth - 64), height: 240, title, layer: [
      { data: { values: quiet }, mark: { type: "line", color: soft, opacity: quiet.length > 3000 ? 0.12 : 0.22, strokeWidth: 1 }, encoding: { x, y, detail: { field: "run", type: "nominal" } } },
      { data: { values: loud }, mark: { type: "line", strokeWidth: 2, point: { size: 18, filled: true, opacity: 0.9 } }, encoding: { x, y, detail: { field: "run", type: "nominal" },
        color: { field: "variant", type: "nominal", scale: { ...domain, range: names.map((_, i) => colours[i % colours.length]) }, legend: { title: null, orient: "bottom", columns: figure.clientWidth > 420 ? 2 : 1, symbolType: "stroke", symbolStrokeWidth: 3 } },
        strokeDash: { field: "variant", type: "nominal", scale: { ...domain, range: names.map((_, i) => DASHES[i % DASHES.length]) }, legend: null },
        tooltip: [{ field: "variant" }, { field: "seed" }, { field: "step" }, { field: "value", format: ".4f", title: what }] } },
    ],
  };
}

function drawSmallCurves(places, curves) {
  for (const k of places) {
    const place = $(`[data-curves="${k}"]`);
    if (!curves.runs[k]?.length) continue;
    place.replaceChildren(make("h4", {}, "Learning"));
    const { colours } = ink();
    core.tasks.forEach((task, t) => {
      const values = lines([k], t, curves, "score");
      if (!values.length) return;
      const figure = place.appendChild(make("figure"));
      embed(figure, { width: Math.max(120, Math.min(260, figure.clientWidth - 60)), height: 110, title: { text: task.label, fontSize: 12 }, data: { values }, mark: { type: "line", point: { size: 14 } }, encoding: {
        x: { field: "step", type: "quantitative", axis: { title: "steps", tickCount: 4, format: "~s" } }, y: { field: "value", type: "quantitative", axis: { title: "score", tickCount: 4 }, scale: { zero: false } },
        color: { field: "seed", type: "ordinal", scale: { range: colours }, legend: null }, detail: { field: "run", type: "nominal" }, tooltip: [{ field: "seed" }, { field: "step" }, { field: "value", format: ".4f" }] } });
    });
  }
}
