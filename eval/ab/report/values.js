const metrics = new Map(data.metrics.map((one) => [one.key, one]));
const everyone = data.cases.concat(data.others);
Object.assign(state, { shown: 24, kept: [], open: -1 });
const titled = (key) => word("metric." + key);
const headed = (head) => known("head." + head) ?? head;
const called = (value) => known("value." + value) ?? value;

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
