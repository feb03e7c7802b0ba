
function drawCharts() {
  const place = byId("days-charts");
  place.replaceChildren();
  drawDays(place, word("page.pictures_by_day"), data.pictures, "");
  for (const [currency, rows] of Object.entries(data.costs)) drawDays(place, known("page.cost_by_day." + currency), rows, currency);
  if (data.parts.length > 1) place.prepend(legend());
}
// On paper everything is open, and drawn for its width; afterwards it is as it was.
let closed = [];
addEventListener("beforeprint", () => {
  paper = 700; drawCharts();
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  paper = 0; drawCharts();
  for (const one of closed) one.open = false;
});
begin(drawCharts, drawCharts);
