"use strict";
// Everything is made with textContent: what people are called and wish for is text, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = { language: "en", width: 0 };

function remembered(key, value) {
  try {
    if (value === undefined) return localStorage.getItem("limner-report-" + key);
    localStorage.setItem("limner-report-" + key, value);
  } catch { /* a page from a file may have no storage */ }
  return null;
}
const known = (key) => data.words[state.language][key] ?? data.words.en[key];
const word = (key, filled = {}) => (known(key) ?? key).replace(/\{(\w+)\}/g, (all, name) => filled[name] ?? all);

function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
function draw(tag, settings = {}, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// --- charts: as wide as there is room, redrawn when that changes --------------------------------
const COLOURS = ["--arm-0", "--arm-1", "--arm-2", "--arm-3", "--arm-4"];
const colourOf = (arm) => `var(${COLOURS[Math.min(arm, COLOURS.length - 1)]})`;
const widthOf = (place) => Math.max(260, Math.min(place.clientWidth || 900, 1060));

function chart(title, width, height, label) {
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label ?? title });
  return [make("figure", { class: "chart" }, make("figcaption", {}, title), svg), svg];
}
function ticks(low, high, most) { // round numbers between low and high
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const made = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) made.push(index * step);
  return made;
}
function limits(values, room = 0.04) {
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) { const half = Math.abs(low) * 0.05 || 0.5; low -= half; high += half; }
  const more = (high - low) * room;
  return [low - more, high + more];
}

// --- words, and beginning ------------------------------------------------------------------------
// Tells every word in the reader's language, then whatever the report draws itself.
function translate(retell) {
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-w]")) {
    const text = known(element.dataset.w);
    if (text !== undefined) element.textContent = text;
  }
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", word(element.dataset.label));
  retell();
}
async function copyText(button) {
  const from = byId(button.dataset.copy);
  try { await navigator.clipboard.writeText(from.textContent); } catch { // a page from a file may not
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges(); getSelection().addRange(range);
    document.execCommand("copy");
  }
  button.textContent = word("page.copied");
  setTimeout(() => { button.textContent = word("page.copy"); }, 1600);
}

// retell: draws all that holds words; redraw: what depends on the width.
function begin(retell, redraw) {
  document.documentElement.classList.add("scripting");
  for (const id of ["language", "theme"]) byId(id).hidden = false;
  const wide = () => document.documentElement.clientWidth;
  addEventListener("resize", () => { if (wide() !== state.width) { state.width = wide(); redraw(); } });
  byId("language").addEventListener("click", () => {
    state.language = state.language === "en" ? "zh" : "en";
    remembered("language", state.language);
    translate(retell);
  });
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme ?? (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    remembered("theme", root.dataset.theme);
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copyText(button));
  }
  const theme = remembered("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const language = remembered("language") ?? data.language ?? ((navigator.language || "").startsWith("zh") ? "zh" : "en");
  state.language = data.words[language] ? language : "en";
  state.width = wide();
  translate(retell);
}
