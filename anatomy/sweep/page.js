"use strict";
// Sort, filter and open the rows of the table. Without this script all rows and all details are shown.
const body = document.querySelector("#variants tbody");
const rows = [...body.querySelectorAll("tr.row")];
const detail = row => document.getElementById(row.id + "-detail");
const show = (row, open) => {
  detail(row).hidden = !open;
  row.querySelector("button").setAttribute("aria-expanded", open);
};
rows.forEach(row => row.querySelector("button").addEventListener("click", () => show(row, detail(row).hidden)));

document.querySelectorAll("#variants th button").forEach((button, column) => button.addEventListener("click", () => {
  const head = button.closest("th");
  const down = head.getAttribute("aria-sort") === "descending";
  document.querySelectorAll("#variants th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "ascending" : "descending");
  const value = row => row.cells[column].dataset.value;
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    const numbers = !isNaN(x) && !isNaN(y);
    return (down ? 1 : -1) * (numbers ? x - y : x.localeCompare(y));
  };
  [...rows].sort(order).forEach(row => body.append(row, detail(row)));
}));

const filter = document.getElementById("filter");
const count = document.getElementById("count");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every(word => row.dataset.words.includes(word));
    row.hidden = !fits;
    if (!fits) show(row, false);
    shown += fits;
  }
  count.textContent = `${shown} of ${rows.length}`;
});

const target = () => {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row && row.classList.contains("row")) { row.hidden = false; show(row, true); row.scrollIntoView(); }
};
addEventListener("hashchange", target);
target();
