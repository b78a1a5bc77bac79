// Elements, packed data, and small things that every part of the page uses. No text of a sweep ever becomes markup.
const $ = (query, at = document) => at.querySelector(query);
const all = (query, at = document) => [...at.querySelectorAll(query)];

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") element.style.cssText = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(c => c !== null && c !== undefined && c !== false));
  return element;
}

async function unpack(key) {
  const block = document.getElementById(`data-${key}`);
  if (!block) return null;
  const bytes = Uint8Array.from(atob(block.textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}

const unpacked = new Map();
function data(key) {
  if (!unpacked.has(key)) unpacked.set(key, unpack(key).then(text => (text ? JSON.parse(text) : null)));
  return unpacked.get(key);
}

function later(work, wait) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}

function say(words) {
  $("#status").textContent = words;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen" });
    area.value = text;
    (button.closest("dialog") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = button.textContent;
  button.textContent = "copied";
  say("copied");
  setTimeout(() => (button.textContent = before), 1200);
}

function copier(label, text) {
  return make("button", { type: "button", class: "small", onclick: e => copy(text(), e.currentTarget) }, label);
}

const thousands = n => n.toLocaleString("en");
const several = (n, noun, plural) => `${thousands(n)} ${n === 1 ? noun : (plural ?? noun + "s")}`;
const dark = matchMedia("(prefers-color-scheme: dark)");
let core;
