
// --- pictures: a page of cards at a time, and one case in full -----------------------------------
function picture(number, file, caption, small, failure) {
  const told = failure ? word("page.failure") : word("page.gone");
  const inside = number >= 0
    ? make("img", { src: data.pictures[number], alt: caption, loading: "lazy", decoding: "async" })
    : make("div", { class: failure ? "nothing" : "nothing gone", title: failure || told }, told);
  return make("figure", small ? { class: "small" } : {}, inside, make("figcaption", { title: caption }, caption));
}
function strip(item) {
  return make("div", { class: "strip" },
    item.photo >= 0 ? picture(item.photo, "", word("page.photo"), true) : null,
    item.wished >= 0 ? picture(item.wished, "", word("page.wished"), true) : null,
    ...item.drawings.map((one, arm) => picture(one.picture, "", data.arms[arm], false, one.failure)));
}
const mistaken = (item, one, head) => one.seen[head] !== undefined && one.seen[head] !== item.asked[head];
const disagrees = (item) => item.drawings.some((one) => Object.keys(item.asked).some((head) => mistaken(item, one, head)));

function chosen() {
  const wanted = byId("search").value.trim().toLowerCase(), only = byId("only").value;
  const key = byId("sort-metric").value, arm = Number(byId("sort-arm").value || 1), order = byId("sort").value;
  const head = byId("asked").value;
  const kept = data.cases.filter((item) => {
    if (only === "failed" && !item.drawings.some((one) => one.failure)) return false;
    if (only === "disagreed" && !(head ? item.drawings.some((one) => mistaken(item, one, head)) : disagrees(item))) return false;
    if (only === "worsened") {
      const gain = gainOf(item, arm, key), floor = foundOf(data.arms[arm], key)?.margin ?? 0;
      if (gain === null || !(metrics.get(key).kind === "agreement" ? gain < floor : gain < 0)) return false;
    }
    if (head && item.asked[head] === undefined) return false;
    const text = `${item.number} ${item.person} ${item.wish} ${item.style} ${item.drawings.map((one) => one.prompt).join(" ")}`.toLowerCase();
    return !wanted || text.includes(wanted);
  });
  const rank = (item) => gainOf(item, arm, key) ?? (order === "best" ? -Infinity : Infinity);
  if (order === "worst") kept.sort((one, other) => rank(one) - rank(other) || one.number - other.number);
  if (order === "best") kept.sort((one, other) => rank(other) - rank(one) || one.number - other.number);
  return kept;
}
function gainTold(item, arm, key) {
  const metric = metrics.get(key), gain = gainOf(item, arm, key);
  if (gain === null) return make("span", { class: "gain" }, "–");
  const agreement = metric.kind === "agreement";
  const kind = agreement || gain === 0 ? "" : gain > 0 ? " up" : " down";
  return make("span", { class: "gain" + kind }, shown(metric, agreement ? gain : sign(metric) * gain, !agreement));
}
// What a judge saw otherwise than asked, in the arm that is looked at.
function mistakes(item, arm) {
  const wrong = Object.keys(item.asked).filter((head) => mistaken(item, item.drawings[arm], head));
  return wrong.length ? make("div", { class: "mistakes" }, "✗ " + wrong.map((head) => `${headed(head)}${word("page.colon")}${word("page.saw")} ${called(item.drawings[arm].seen[head])}`).join(word("page.comma"))) : null;
}
function drawCases() {
  state.kept = chosen();
  const kept = state.kept, key = byId("sort-metric").value, arm = Number(byId("sort-arm").value || 1);
  byId("count").textContent = `${kept.length} ${word("page.of")} ${data.cases.length}`;
  byId("cases").replaceChildren(...kept.slice(0, state.shown).map((item, place) =>
    make("button", { type: "button", class: "card", "data-case": item.number, "aria-haspopup": "dialog", onclick: () => openCase(place) },
      strip(item),
      make("div", { class: "line" }, make("b", {}, `${item.person}${item.style ? " · " + item.style : ""}`), key ? gainTold(item, arm, key) : null),
      make("div", { class: "wish" }, item.wish),
      mistakes(item, arm))));
  if (!kept.length) byId("cases").append(make("p", { class: "hint" }, word(data.cases.length ? "page.none" : "page.nobody")));
  byId("more").hidden = kept.length <= state.shown;
}

const row = (head, cells) => make("tr", {}, make("th", { scope: "row" }, head), ...cells);
function tableOf(heads, rows, text) {
  return make("div", { class: "scroll" }, make("table", text ? { class: "text" } : {},
    make("thead", {}, make("tr", {}, ...heads.map((name, index) => make("th", { scope: "col", class: index && !text ? "n" : "" }, name)))),
    make("tbody", {}, ...rows)));
}
function saidOf(one) { // what the model was told
  return [
    one.failure ? make("p", { class: "words failure" }, one.failure) : null,
    one.prompt ? make("p", { class: "words" }, make("code", {}, one.prompt)) : null,
    one.negative ? make("p", { class: "words hint" }, `${word("page.negative")} `, make("code", {}, one.negative)) : null,
  ].filter((part) => part !== null);
}
function promptsOf(item) { // arms that were told the same stand together
  const groups = new Map();
  item.drawings.forEach((one, arm) => {
    const same = JSON.stringify([one.failure, one.prompt, one.negative]);
    groups.set(same, [...(groups.get(same) ?? []), arm]);
  });
  return [...groups.values()].flatMap((arms) => [
    make("h3", {}, `${word("page.prompt")}${word("page.colon")}${arms.map((arm) => data.arms[arm]).join(word("page.comma"))}`),
    ...saidOf(item.drawings[arms[0]])]);
}
function valuesOf(item) {
  return data.metrics.filter((metric) => !metric.parent && item.drawings.some((one) => one.values[metric.key] !== undefined))
    .map((metric) => row(titled(metric.key), item.drawings.map((one, arm) => {
      const value = one.values[metric.key];
      const cell = make("td", { class: "n" }, value === undefined ? "–" : shown(metric, value, false));
      const differs = metric.kind !== "agreement" && value !== undefined && gainOf(item, arm, metric.key);
      if (arm) cell.append(differs ? gainTold(item, arm, metric.key) : make("span", { class: "gain" }));
      return cell;
    })));
}
function seenOf(item) {
  return Object.keys(item.asked).map((head) => row(headed(head), [
    make("td", {}, called(item.asked[head])),
    ...item.drawings.map((one) => make("td", mistaken(item, one, head) ? { class: "wrong" } : {}, one.seen[head] === undefined ? "–" : called(one.seen[head]),
      mistaken(item, one, head) ? make("span", { class: "sr" }, word("page.mistake")) : null))]));
}
function traceOf(one, arm) {
  const total = one.trace.reduce((sum, visit) => sum + visit[1], 0);
  return make("details", {}, make("summary", {}, `${word("page.stages")}${word("page.colon")}${data.arms[arm]}, ${total.toFixed(2)} s`),
    tableOf([word("page.stage"), word("page.seconds"), word("page.notes")], one.trace.map(([stage, seconds, decisions, downgrades]) =>
      row(stage, [make("td", { class: "n" }, seconds.toFixed(4)),
        make("td", { class: "long" }, ...decisions.map((text) => make("div", {}, text)), ...downgrades.map((text) => make("div", { class: "downgrade" }, text)))])), true));
}
function openCase(place) {
  const item = state.kept[place], dialog = byId("case");
  state.open = place;
  const step = (by, key, sign) => {
    const button = make("button", { type: "button", "aria-label": word(key), title: word(key), onclick: () => openCase(state.open + by) }, sign);
    button.disabled = !state.kept[place + by];
    return button;
  };
  const warnings = item.drawings.flatMap((one, arm) => one.warnings.map((text) => make("li", {}, make("b", {}, data.arms[arm]), " ", text)));
  const heads = seenOf(item);
  const size = [...new Set(item.drawings.filter((one) => one.size[0]).map((one) => one.size.join(" × ")))].join(word("page.comma"));
  byId("case-body").replaceChildren(
    make("div", { class: "top" },
      make("h2", { id: "case-title" }, `${word("page.case")} ${item.number}${word("page.colon")}${item.person}`),
      make("div", { class: "steps" }, step(-1, "page.previous", "←"), step(1, "page.next", "→"),
        make("button", { type: "button", onclick: () => dialog.close() }, word("page.close")))),
    strip(item),
    make("p", { class: "words" }, item.wish),
    make("p", { class: "hint" }, [`${word("page.seed")} ${item.seed}`, size, item.style].filter(Boolean).join(" · ")),
    ...(warnings.length ? [make("h3", {}, word("page.warnings")), make("ul", { class: "warnings" }, ...warnings)] : []),
    ...(heads.length ? [make("h3", {}, word("page.seen")), tableOf([word("page.attribute"), word("page.asked"), ...data.arms], heads, true)] : []),
    ...promptsOf(item),
    make("h3", {}, word("page.value")), tableOf([word("page.metric"), ...data.arms], valuesOf(item)),
    ...item.drawings.flatMap((one, arm) => (one.trace.length ? [traceOf(one, arm)] : [])));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
