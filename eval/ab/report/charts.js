function tickText(metric, value, all, signed) { // as many digits as the steps need
  if (all.length < 2) return shown(metric, value, signed, true);
  const step = all[1] - all[0], scale = { share: 100, bytes: 2 ** -20 }[metric.unit] ?? 1;
  const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10(Math.abs(step * scale)) + 1e-9)));
  return shown({ ...metric, digits }, value, signed, true);
}
function axis(svg, metric, scale, range, y, width, signed) {
  const all = ticks(range[0], range[1], Math.max(2, Math.floor(width / 110)));
  svg.append(draw("line", { class: "axis", x1: scale(range[0]), x2: scale(range[1]), y1: y, y2: y }));
  for (const value of all) {
    svg.append(draw("line", { class: "axis", x1: scale(value), x2: scale(value), y1: y, y2: y + 4 }));
    svg.append(draw("text", { class: "label", x: scale(value), y: y + 17, "text-anchor": "middle" }, tickText(metric, value, all, signed)));
  }
}
// Dots stacked over their place, so that how many there are is what one sees.
function dots(svg, values, scale, bottom, height, colour) {
  const size = 7, stacks = new Map();
  for (const value of values) {
    const x = Math.round(scale(value) / size);
    stacks.set(x, (stacks.get(x) ?? 0) + 1);
  }
  const step = Math.min(size, height / Math.max(...stacks.values()));
  for (const [x, count] of stacks)
    for (let level = 0; level < count; level++)
      svg.append(draw("circle", { class: "dot", cx: x * size, cy: bottom - 4 - level * step, r: 3.1, style: `fill:${colour}` }));
}

function drawSpread() {
  const key = byId("spread-metric").value, place = byId("spread");
  place.replaceChildren();
  if (!key) return;
  const metric = metrics.get(key), agreement = metric.kind === "agreement", width = widthOf(place);
  data.arms.slice(1).forEach((name, index) => {
    const gains = everyone.map((item) => gainOf(item, index + 1, key)).filter((one) => one !== null);
    if (!gains.length) return;
    const found = foundOf(name, key), margin = found?.margin ?? null;
    // Better is to the right, so that a metric of which less is better runs from right to left.
    const towards = agreement ? 1 : sign(metric);
    const told = (gain) => towards * gain;
    const range = limits([...gains, ...(agreement ? [] : [0])]);
    const height = 128, bottom = 92;
    const at = (gain) => 14 + ((gain - range[0]) / (range[1] - range[0])) * (width - 28);
    const summary = word("page.spread_told", {
      mean: shown(metric, told(mean(gains)), !agreement), count: gains.length,
      worst: shown(metric, told(Math.min(...gains)), !agreement),
    });
    const [box, svg] = chart(agreement ? name : word("page.less", { arm: name, reference: data.arms[0] }), width, height, summary);
    const edge = agreement ? margin : margin ? -margin : null;
    if (edge !== null && edge < range[1]) {
      const left = at(Math.max(edge, range[0]));
      svg.append(draw("rect", { class: "zone", x: left, y: 8, width: Math.max(0, width - 14 - left), height: bottom - 8 }));
    }
    const ends = towards > 0 ? range : [-range[1], -range[0]];
    axis(svg, metric, (value) => at(towards * value), ends, bottom, width, !agreement);
    if (!agreement) svg.append(draw("line", { class: "axis-zero", x1: at(0), x2: at(0), y1: 8, y2: bottom }));
    dots(svg, gains, at, bottom, bottom - 14, colourOf(index + 1));
    const middle = at(mean(gains));
    svg.append(draw("line", { class: "mean", x1: middle, x2: middle, y1: 8, y2: bottom }));
    if (!agreement) {
      svg.append(draw("text", { class: "label", x: 14, y: height - 4 }, `← ${word("page.worse_side")}`));
      svg.append(draw("text", { class: "label", x: width - 14, y: height - 4, "text-anchor": "end" }, `${word("page.better_side")} →`));
    }
    box.append(make("p", { class: "hint" }, summary));
    place.append(box);
  });
  if (!agreement) drawValues(place, metric, width);
}
function drawValues(place, metric, width) {
  const rows = data.arms.map((name, arm) => [name, everyone.map((item) => valueOf(item, arm, metric.key)).filter((one) => one !== undefined)]).filter(([, values]) => values.length);
  if (!rows.length) return;
  const range = limits(rows.flatMap(([, values]) => values)), tall = 62;
  const at = (value) => 14 + ((value - range[0]) / (range[1] - range[0])) * (width - 28);
  const [box, svg] = chart(word("page.own_values"), width, rows.length * tall + 24);
  rows.forEach(([name, values], index) => {
    const bottom = (index + 1) * tall;
    svg.append(draw("line", { class: "axis", x1: 14, x2: width - 14, y1: bottom, y2: bottom }));
    dots(svg, values, at, bottom, tall - 24, colourOf(data.arms.indexOf(name)));
    const middle = at(mean(values));
    svg.append(draw("line", { class: "mean", x1: middle, x2: middle, y1: bottom - tall + 18, y2: bottom }));
    svg.append(draw("text", { class: "label strong", x: 14, y: bottom - tall + 14 }, `${name}  ${shown(metric, mean(values), false)}`));
  });
  axis(svg, metric, at, range, rows.length * tall, width, false);
  place.append(box);
}

function drawLooks() {
  const key = byId("looks-metric").value, place = byId("looks");
  place.replaceChildren();
  if (!key) return;
  const metric = metrics.get(key), agreement = metric.kind === "agreement", width = widthOf(place), height = 220, left = 58;
  data.arms.slice(1).forEach((name, index) => {
    const points = data.looks.filter((look) => look[0] === name && look[1] === key);
    if (points.length < 2) return;
    const margin = foundOf(name, key)?.margin ?? null;
    const lines = agreement ? [["margin", margin ?? 0]] : [["axis-zero", 0], ...(margin ? [["margin", -sign(metric) * margin]] : [])];
    const later = points.slice(Math.floor(points.length / 4)); // the first looks are too wide to draw by
    const [low, high] = limits([...lines.map((one) => one[1]), ...later.flatMap((one) => [one[4], one[5]])], 0.08);
    const first = points[0][2], end = points[points.length - 1][2];
    const x = (units) => left + ((units - first) / (end - first || 1)) * (width - left - 16);
    const y = (value) => 10 + ((high - Math.min(Math.max(value, low), high)) / (high - low)) * (height - 50);
    const path = (ends) => ends.map(([units, value]) => `${x(units).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const last = points[points.length - 1];
    const told = `${name}: ${shown(metric, last[4], !agreement, true)} … ${shown(metric, last[5], !agreement)}, ${end} ${word("unit.people")}`;
    const [box, svg] = chart(told, width, height);
    svg.append(draw("polygon", { class: "band", style: `fill:${colourOf(index + 1)}`, points: path([...points.map((one) => [one[2], one[5]]), ...points.map((one) => [one[2], one[4]]).reverse()]) }));
    svg.append(draw("polyline", { class: "path", style: `stroke:${colourOf(index + 1)}`, points: path(points.map((one) => [one[2], one[3]])) }));
    for (const [kind, value] of lines) {
      svg.append(draw("line", { class: kind, x1: left, x2: width - 16, y1: y(value), y2: y(value) }));
      const name = kind === "margin" ? word(agreement ? "count.floor" : "count.margin") : word("page.no_difference");
      svg.append(draw("text", { class: "label", x: width - 18, y: y(value) - 4, "text-anchor": "end" }, name));
    }
    const all = ticks(low, high, 5);
    for (const value of all) svg.append(draw("text", { class: "label", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, tickText(metric, value, all, !agreement)));
    svg.append(draw("line", { class: "axis", x1: left, x2: width - 16, y1: height - 36, y2: height - 36 }));
    const steps = ticks(first, end, Math.max(2, Math.floor(width / 130))).filter((value) => Number.isInteger(value));
    for (const value of steps) svg.append(draw("text", { class: "label", x: x(value), y: height - 20, "text-anchor": "middle" }, String(value)));
    svg.append(draw("text", { class: "label", x: width - 16, y: height - 4, "text-anchor": "end" }, word("unit.people")));
    place.append(box);
  });
}

// Every arm as a cross of its two intervals: cost to the right, quality upwards.
function drawPlane() {
  const place = byId("plane"), [across, up] = [byId("plane-cost").value, byId("plane-quality").value].map((key) => metrics.get(key));
  place.replaceChildren();
  if (!across || !up) return;
  const arms = data.estimates.map((one, arm) => [arm, one[across.key], one[up.key]]).filter(([, one, other]) => one && other);
  if (!arms.length) return;
  const width = widthOf(place), height = 270, left = 58, bottom = height - 44;
  const xs = limits(arms.flatMap(([, one]) => one), 0.14), ys = limits(arms.flatMap(([, , one]) => one), 0.2);
  const x = (value) => left + ((value - xs[0]) / (xs[1] - xs[0])) * (width - left - 20);
  const y = (value) => bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (bottom - 14);
  const [box, svg] = chart(`↑ ${titled(up.key)} \u2003 → ${titled(across.key)}`, width, height);
  const all = ticks(ys[0], ys[1], 6);
  for (const value of all) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - 20, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { class: "label", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, tickText(up, value, all, false)));
  }
  axis(svg, across, x, xs, bottom, width, false);
  for (const [arm, one, other] of arms) {
    const style = `stroke:${colourOf(arm)}`, [cx, cy] = [x(one[0]), y(other[0])];
    svg.append(draw("line", { class: "span", style, x1: x(one[1]), x2: x(one[2]), y1: cy, y2: cy }));
    svg.append(draw("line", { class: "span", style, x1: cx, x2: cx, y1: y(other[1]), y2: y(other[2]) }));
    svg.append(arm === 0 ? draw("circle", { cx, cy, r: 5.5, class: "hollow", style }) : draw("circle", { cx, cy, r: 5.5, style: `fill:${colourOf(arm)}` }));
    const right = cx > width - 150;
    svg.append(draw("text", { class: "label strong", x: cx + (right ? -10 : 10), y: cy - 9, "text-anchor": right ? "end" : "start" }, data.arms[arm]));
  }
  const unit = [unitOf(across), word("page.less_is_better")].filter(Boolean).join(", ");
  svg.append(draw("text", { class: "label", x: width - 20, y: height - 6, "text-anchor": "end" }, across.more_is === "worse" ? unit : unitOf(across)));
  place.append(box);
}
