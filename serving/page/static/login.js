// A link from another site comes without the strict cookie; asked from here, it is sent.
const home = document.currentScript.dataset.home;
fetch(`${home}/login/state`).then((answer) => {
  if (answer.status === 204 && !document.querySelector(".notice")) location.replace(`${home}/`);
});
