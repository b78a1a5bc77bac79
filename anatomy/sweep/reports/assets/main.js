// What happens when: the page begins, the reader chooses, a section comes into sight.
const PLOTS = { cost: async () => { await drawCost(); legend($("[data-plot=cost]"), colouring()); }, parallel: drawParallel, curves: drawCurves, agreement: drawAgreement };
const seen = new Set();
const drawing = new Map();

function draw(name) {
  const next = (drawing.get(name) ?? Promise.resolve()).then(PLOTS[name]).catch(error => {
    $(`[data-note=${name}]`).textContent = `This plot could not be drawn: ${error.message}`;
  });
  drawing.set(name, next);
  return next;
}

const redraw = later(() => seen.forEach(draw), 200);

function watch() {
  if (!document.getElementById("data-plots") || !core.tasks.length) return;
  const observer = new IntersectionObserver(entries => {
    for (const { isIntersecting, target } of entries) {
      const name = target.dataset.plot;
      if (isIntersecting && !seen.has(name)) { seen.add(name); draw(name); }
    }
  }, { rootMargin: "500px" });
  all("[data-plot]").forEach(place => observer.observe(place));
  let width = innerWidth;
  addEventListener("resize", later(() => { if (innerWidth !== width) { width = innerWidth; redraw(); } }, 250));
  dark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => Object.keys(PLOTS).forEach(name => { if (!seen.has(name)) { seen.add(name); draw(name); } }));
}

async function begin() {
  try {
    prepare(await data("core"));
  } catch (error) {
    document.documentElement.classList.add("plain");
    $("#table").before(make("p", { class: "note" }, `This browser cannot unpack the data (${error.message}); the top of the table stands here as text.`));
    return;
  }
  document.documentElement.classList.add("live");
  recall();
  buildTable();
  drawTable();
  listeners.push(what => {
    if (what !== "open" && what !== "plots") drawTable(what);
    if (["all", "filters", "choices", "ranges", "plots", "ticked"].includes(what)) redraw();
  });
  const dialog = $("#detail");
  dialog.addEventListener("close", closed);
  dialog.addEventListener("click", e => { if (e.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", e => {
    if (state.open.length === 1 && !e.target.closest("pre, input") && (e.key === "ArrowLeft" || e.key === "ArrowRight")) step(e.key === "ArrowLeft" ? -1 : 1);
  });
  document.addEventListener("click", e => {
    const opener = e.target.closest("[data-open]"), jump = e.target.closest('nav a[href^="#"], .skip');
    if (opener) { e.preventDefault(); openDetail([opener.dataset.open]); }
    if (jump) { e.preventDefault(); const target = $(jump.getAttribute("href")); target.scrollIntoView(); target.setAttribute("tabindex", "-1"); target.focus({ preventScroll: true }); }
  });
  addEventListener("hashchange", () => { if (recall()) { table.shown = null; drawTable(); drawDetail(); redraw(); } });
  watch();
  if (state.open.length) drawDetail();
  document.documentElement.dataset.ready = "yes";
}

begin();
