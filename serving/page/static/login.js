// A link from another site comes without the strict cookie; asked from here, it is sent.
const home = document.currentScript.dataset.home;
fetch(`${home}/login/state`).then((answer) => answer.json()).then((state) => {
  if (state.known && !document.querySelector(".notice")) location.replace(`${home}/`);
});
