
// --- words, and beginning ------------------------------------------------------------------------
function retell() {
  byId("search").placeholder = word("page.search");
  byId("left-out").textContent = data.others.length ? word("page.left_out", { shown: data.cases.length, all: everyone.length }) : "";
  fillSelects();
  drawCharts(); drawCases();
  if (byId("case").open) openCase(state.open);
}
function drawCharts() {
  drawPlane(); drawSpread(); drawLooks();
}
function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}
function fillSelects() {
  const first = (one) => (data.gate.includes(one.key) && one.kind === "quality" ? 0 : 1);
  const measured = data.metrics.filter((one) => one.kind !== "set" && everyone.some((item) =>
    item.drawings.slice(1).some((_, index) => gainOf(item, index + 1, one.key) !== null))).sort((one, other) => first(one) - first(other));
  const named = (some) => some.map((one) => [one.key, titled(one.key)]);
  fill(byId("spread-metric"), named(measured));
  fill(byId("sort-metric"), named(measured));
  const looked = [...new Set(data.looks.map((look) => look[1]))];
  fill(byId("looks-metric"), looked.map((key) => [key, titled(key)]));
  byId("looks-section").hidden = looked.length === 0;
  const owned = data.metrics.filter((one) => !one.parent && data.estimates.some((arm) => arm[one.key]));
  fill(byId("plane-cost"), named(owned.filter((one) => one.kind === "cost")));
  fill(byId("plane-quality"), named(owned.filter((one) => one.kind === "quality").sort((one, other) => first(one) - first(other))));
  byId("plane-box").hidden = !byId("plane-cost").value || !byId("plane-quality").value;
  fill(byId("sort"), ["worst", "best", "number"].map((key) => [key, word("page." + key)]));
  fill(byId("only"), ["all", "disagreed", "worsened", "failed"].map((key) => [key, word("page." + key)]));
  const heads = [...new Set(data.cases.flatMap((item) => Object.keys(item.asked)))];
  fill(byId("asked"), [["", word("page.anything")], ...heads.map((head) => [head, headed(head)])]);
  byId("asked-label").hidden = heads.length === 0;
  fill(byId("sort-arm"), data.arms.slice(1).map((name, index) => [String(index + 1), name]));
  byId("sort-arm-label").hidden = data.arms.length < 3;
}
for (const id of ["live", "plane-box"]) byId(id).hidden = false;
const again = () => { state.shown = 24; drawCases(); };
for (const id of ["sort", "sort-metric", "sort-arm", "only", "asked"]) byId(id).addEventListener("change", again);
byId("search").addEventListener("input", again);
byId("more").addEventListener("click", () => { state.shown += 48; drawCases(); });
byId("spread-metric").addEventListener("change", drawSpread);
byId("looks-metric").addEventListener("change", drawLooks);
for (const id of ["plane-cost", "plane-quality"]) byId(id).addEventListener("change", drawPlane);
byId("case").addEventListener("click", (event) => { if (event.target === byId("case")) byId("case").close(); });
byId("case").addEventListener("close", () => {
  const card = byId("cases").querySelectorAll(".card")[state.open];
  if (card) card.focus();
});
byId("case").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && state.kept[state.open + by]) { event.preventDefault(); openCase(state.open + by); byId("case").focus(); }
});
begin(retell, drawCharts);
