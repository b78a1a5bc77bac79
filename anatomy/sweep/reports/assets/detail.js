// One variant in full, or several side by side.
let texts;
async function openDetail(names) {
  state.open = names.filter(name => core.at.has(name)).slice(0, 6);
  changed("open");
  await drawDetail();
}

async function drawDetail() {
  const dialog = $("#detail");
  if (!state.open.length) {
    if (dialog.open) dialog.close();
    return;
  }
  texts ??= await data("details");
  const pictures = await data("pictures"), curves = await data("curves");
  const places = state.open.map(name => core.at.get(name));
  const many = places.length > 1;
  dialog.replaceChildren(make("div", { class: "bar" },
    make("h2", {}, many ? `${places.length} variants side by side` : core.by.name.values[places[0]]),
    make("span", { class: "grow" }),
    many ? null : make("button", { type: "button", id: "before", title: "the row above, also the left arrow", onclick: () => step(-1) }, "\u2190 above"),
    many ? null : make("button", { type: "button", id: "after", title: "the row below, also the right arrow", onclick: () => step(1) }, "below \u2192"),
    make("button", { type: "button", id: "close", onclick: () => dialog.close() }, "Close")),
    make("div", { class: many ? "variants many" : "variants", style: `--count:${places.length}` }, places.map(k => oneVariant(k, pictures, curves, places))));
  if (!dialog.open) {
    dialog.showModal();
    $("#close", dialog).focus();
  }
  dialog.scrollTop = 0;
  if (document.getElementById("data-plots")) drawSmallCurves(places, curves);
}

function closed() {
  if (state.open.length) {
    state.open = [];
    changed("open");
  }
  const focus = document.activeElement;
  if (focus !== document.body && !table.body.contains(focus)) return;
  drawRows(true);
  focusRow(false);
}

function step(by) {
  const at = view.rows.indexOf(core.at.get(state.open[0]));
  const next = view.rows[at + by];
  if (at < 0 || next === undefined) return;
  table.active = at + by;
  openDetail([core.by.name.values[next]]).then(() => $(by < 0 ? "#before" : "#after")?.focus());
}

function list(facts) {
  return make("dl", {}, facts.filter(f => f[1] !== null && f[1] !== undefined && f[1] !== "").map(([k, v, mark]) => [make("dt", {}, k), make("dd", { class: mark ? "differs" : "" }, v)]));
}

const spoken = v => (v === null || v === undefined ? NONE : v === true ? "yes" : v === false ? "no" : typeof v === "number" ? short(v) : String(v).replaceAll("_", " "));

function oneVariant(k, pictures, curves, places) {
  const name = core.by.name.values[k], facts = texts[k];
  const differs = key => places.some(p => core.by[key].values[p] !== core.by[key].values[k]);
  const role = shownValue(core.by.role, k), standing = shownValue(core.by.state, k);
  const choices = core.holes.filter(h => core.by[`hole.${h}`].values[k] !== null).map(h => [h, shownValue(core.by[`hole.${h}`], k), differs(`hole.${h}`)]);
  const left = make("div", { class: "left" }, places.length > 1 ? make("h3", { class: "title" }, name) : null, picture(k, name, pictures));
  const right = make("div", { class: "right" },
    make("p", { class: "badges" }, make("span", { class: `badge ${standing}` }, standing), make("span", { class: "badge" }, role)),
    section("Choices", choices.length ? list(choices) : null),
    section("Scores", scores(k, facts)),
    make("div", { class: "small-curves", "data-curves": k }),
    section("Regularity", regularity(facts)),
    section("Checks", checks(k, facts)),
    failing(facts),
    facts.same ? section("The same as a control", make("p", {}, facts.same)) : null,
    facts.aliases.length ? section("The same diagram, and therefore not trained again", make("ul", {}, facts.aliases.map(([index, why]) => make("li", {}, `member ${thousands(index)}: ${why}`)))) : null,
    section("Made again by", facts.command ? code(facts.command) : make("p", {}, "Trained in every sweep: zoo/spaces/controls.anat.")),
    section("Text", code(facts.text)));
  return make("article", { "data-variant": name }, left, right);
}

function section(title, content) {
  return content ? make("section", {}, make("h4", {}, title), content) : null;
}

function code(text) {
  return make("div", { class: "code" }, make("pre", { tabindex: "0" }, text), copier("Copy", () => text));
}

function picture(k, name, pictures) {
  const svg = pictures?.[k];
  if (!svg) return make("p", { class: "note" }, "No picture on this page: it holds those of the best variants. ", make("code", {}, "anatomy sweep report DIR --pictures N"), " adds more.");
  return make("img", { class: "diagram", alt: `diagram of ${name}`, src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}` });
}

function scores(k, facts) {
  if (!facts.runs.length) return null;
  const rows = [];
  core.tasks.forEach((task, t) => {
    const column = core.by[`score.${task.label}`], full = task.budgets.at(-1);
    const mine = facts.runs.filter(r => r[0] === t);
    if (!mine.length) return;
    const interval = intervalWords(column, k);
    rows.push(make("tr", { class: "mean" }, make("th", { scope: "row" }, task.label), make("td", {}, "mean"), make("td", { class: "n" }, shownValue(column, k)), make("td", { class: "n" }, interval ? `95 %: ${interval}` : "no interval")));
    for (const [, budget, seed, standing, reason, score, loss, , diverged, rate, edge] of mine) {
      const words = standing === "done" ? [loss !== null ? `loss ${short(loss)}` : "", diverged ? "diverged" : "", rate !== null ? `rate ${short(rate)}${edge ? `, the ${edge} tried` : ""}` : ""] : [standing, reason];
      rows.push(make("tr", {}, make("td", {}, budget === full ? "" : `${thousands(budget)} steps`), make("td", {}, `seed ${seed}`), make("td", { class: "n" }, score === null ? NONE : score.toFixed(4)), make("td", { class: "n soft" }, words.filter(Boolean).join(", "))));
    }
  });
  return make("div", { class: "scroll" }, make("table", { class: "plain" }, make("tbody", {}, rows)));
}

function regularity(facts) {
  const b = facts.bounds;
  if (!Object.keys(b).length) return null;
  const upper = b.upper === null || b.upper === undefined ? (b.verdict === "not_lipschitz_on_domain" ? "none exists" : "none proved") : typeof b.upper === "number" ? `at most ${boundWords(b.upper)}` : "none: infinite";
  const lower = b.lower === null || b.lower === undefined ? "not estimated" : typeof b.lower === "number" ? `at least ${boundWords(b.lower)} is attained` : spoken(b.lower);
  const rest = Object.entries(b).filter(([key]) => !["verdict", "upper", "lower", "responsible", "method", "norm", "domain"].includes(key)).map(([key, v]) => [key, spoken(v)]);
  return list([["verdict", spoken(b.verdict)], ["upper bound", upper], ["lower bound", lower], ["decided by", b.responsible && spoken(b.responsible)], ["method", b.method && spoken(b.method)], ["domain", b.domain], ["norm", b.norm && spoken(b.norm)], ...rest]);
}

function checks(k, facts) {
  const rows = Object.entries(facts.check).filter(([key]) => key !== "reason" || facts.check.reason).map(([key, v]) => [key, typeof v === "number" && Number.isInteger(v) ? thousands(v) : spoken(v)]);
  if (core.by.flops?.values[k] !== null && core.by.flops) rows.push(["FLOPs", `${thousands(core.by.flops.values[k])} (${core.measured})`]);
  rows.push(...Object.entries(facts.init).filter(([key]) => !key.endsWith("_spread")).map(([key, v]) => {
    const spread = facts.init[`${key}_spread`];
    return [`at initialisation: ${spoken(key)}`, (typeof v === "object" && v !== null ? JSON.stringify(v) : spoken(v)) + (typeof spread === "number" ? ` (standard deviation between draws ${short(spread)})` : "")];
  }), ["canonical hash", facts.digest]);
  return list(rows);
}

function failing(facts) {
  if (!facts.failures.length) return null;
  return section("Failures", make("div", {}, facts.failures.map(([job, standing, cause, traceback]) => [make("p", {}, `${job}: ${standing}, ${cause}`), traceback ? code(traceback) : null]).flat()));
}
