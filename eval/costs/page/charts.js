let paper = 0; // its width while it is printed, else 0
// Bars stacked for each day, as wide as there is room. The largest part is at the bottom.
function drawDays(place, title, rows, unit) {
  const width = paper || widthOf(place), height = width < 520 ? 190 : 220, left = 54, right = 8, bottom = height - 34, top = 12;
  const sums = rows.map((row) => row.reduce((sum, one) => sum + one, 0));
  const most = Math.max(...sums) || 1, least = Math.min(0, ...sums);
  const all = ticks(least, most, 5), high = Math.max(most, all[all.length - 1] ?? most);
  const y = (value) => bottom - ((value - least) / (high - least)) * (bottom - top);
  const step = (width - left - right) / rows.length, wide = Math.max(1, Math.min(step * 0.78, 34));
  const [box, svg] = chart(title, width, height);
  const digits = all.length > 1 ? Math.max(0, Math.min(9, -Math.floor(Math.log10(all[1] - all[0]) + 1e-9))) : 2;
  for (const value of all) {
    if (!unit && !Number.isInteger(value)) continue; // there are no half pictures
    svg.append(draw("line", { class: value === 0 ? "axis" : "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { class: "label", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(unit ? digits : 0)));
  }
  rows.forEach((row, index) => {
    const x = left + (index + 0.5) * step - wide / 2, group = draw("g", {});
    let level = 0;
    row.forEach((value, part) => {
      if (value <= 0) return;
      group.append(draw("rect", { class: "part", x: x.toFixed(2), width: wide.toFixed(2), y: y(level + value).toFixed(2), height: (y(level) - y(level + value)).toFixed(2), style: `fill:${partColour(part)}` }));
      level += value;
    });
    const told = row.map((value, part) => (value ? `${partName(part)}: ${shownAmount(value, unit)}` : "")).filter(Boolean);
    const touch = draw("rect", { class: "touch", x: (left + index * step).toFixed(2), width: step.toFixed(2), y: top, height: bottom - top });
    touch.append(draw("title", {}, [`${data.steps[index]}: ${shownAmount(sums[index], unit)}`, ...(told.length > 1 ? told : [])].join("\n")));
    group.append(touch);
    svg.append(group);
  });
  labelSteps(svg, left, step, bottom, width);
  place.append(box);
}
// A label wherever there is room.
function labelSteps(svg, left, step, bottom, width) {
  const every = Math.max(1, Math.ceil(data.steps.length / Math.max(2, Math.floor((width - left) / 52))));
  data.steps.forEach((name, index) => {
    if (index % every) return;
    svg.append(draw("text", { class: "label", x: left + (index + 0.5) * step, y: bottom + 17, "text-anchor": "middle" }, name.length > 7 ? name.slice(5) : name));
  });
}
const partName = (part) => data.parts[part] === null ? word("page.others") : data.parts[part] || word("page.nobody");
const partColour = (part) => colourOf(data.parts[part] === null ? 0 : part + 1);
const shownAmount = (value, unit) => unit ? `${Number(value.toPrecision(6))} ${unit}` : String(value);
function legend() {
  return make("p", { class: "legend" }, ...data.parts.map((_, part) =>
    make("span", {}, make("i", { style: `background:${partColour(part)}` }), partName(part))));
}
