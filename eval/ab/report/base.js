"use strict";
// Everything is made with textContent: what people are called and wish for is text, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const metrics = new Map(data.metrics.map((one) => [one.key, one]));
const everyone = data.cases.concat(data.others);
const state = { language: "en", shown: 24, kept: [], open: -1, width: 0 };

function remembered(key, value) {
  try {
    if (value === undefined) return localStorage.getItem("limner-ab-" + key);
    localStorage.setItem("limner-ab-" + key, value);
  } catch { /* a page from a file may have no storage */ }
  return null;
}
const known = (key) => data.words[state.language][key] ?? data.words.en[key];
const word = (key, filled = {}) => (known(key) ?? key).replace(/\{(\w+)\}/g, (all, name) => filled[name] ?? all);
const titled = (key) => word("metric." + key);
const headed = (head) => known("head." + head) ?? head;
const called = (value) => known("value." + value) ?? value;

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

// A value as people read it; signed: a difference, where shares are points.
function shown(metric, value, signed, bare) {
  const scale = { share: 100, bytes: 2 ** -20 }[metric.unit] ?? 1;
  let text = (scale * value).toFixed(metric.digits);
  if (Number(text) === 0) text = (0).toFixed(metric.digits);
  else text = (signed && value > 0 ? "+" : "") + text.replace("-", "−");
  if (bare) return text;
  const unit = { share: signed ? word("unit.points") : "%", bytes: "MiB", dB: "dB", s: "s" }[metric.unit];
  return unit ? `${text}\u00a0${unit}` : text;
}
function unitOf(metric, signed) {
  return { share: signed ? word("unit.points") : "%", bytes: "MiB", dB: "dB", s: "s" }[metric.unit] ?? known("unit." + metric.unit) ?? "";
}
const sign = (metric) => (metric.more_is === "better" ? 1 : -1);
const valueOf = (item, arm, key) => item.drawings[arm]?.values[key];
function gainOf(item, arm, key) { // better is positive; of agreement the value itself
  const metric = metrics.get(key), own = valueOf(item, arm, key), base = valueOf(item, 0, key);
  if (own === undefined) return null;
  if (metric.kind === "agreement") return own;
  return base === undefined ? null : sign(metric) * (own - base);
}
const foundOf = (name, key) => data.comparisons.find((one) => one.arm === name && one.metric === key);
const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
