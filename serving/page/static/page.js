// Runs once, in the head: theme and language before anything is drawn.
(() => {
  const root = document.documentElement;
  const wanted = () => localStorage.getItem("limner-theme")
    ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const apply = () => {
    const dark = wanted() === "dark";
    document.body?.classList.toggle("dark", dark);
    root.style.colorScheme = dark ? "dark" : "light";
    root.style.background = dark ? "#161512" : "#f6f3ec";
  };
  // Gradio sets the class itself, once, some time after the page has loaded.
  const watch = new MutationObserver(() => {
    if (document.body.classList.contains("dark") !== (wanted() === "dark")) apply();
  });
  const begin = () => {
    apply();
    watch.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
  window.limnerTheme = () => {
    localStorage.setItem("limner-theme", wanted() === "dark" ? "light" : "dark");
    apply();
  };
  // Until the visitor's own language is there nothing is shown; at the latest after three seconds.
  root.classList.add("limner-waiting");
  window.limnerReady = () => root.classList.remove("limner-waiting");
  setTimeout(window.limnerReady, 3000);
  window.limnerLanguage = (language) => {
    document.cookie = `limner_language=${language}; path=/; samesite=lax; max-age=31536000`;
    root.lang = language === "zh" ? "zh-CN" : "en";
    window.limnerReady();
  };
})();
window.limnerUnfold = (id) => {
  const fold = document.querySelector(`#${id} button.label-wrap:not(.open)`);
  fold?.click();
  document.getElementById(id)?.scrollIntoView({ behavior: "smooth", block: "center" });
};
// Who presses Paint wants to see the easel, which is far below on a phone.
document.addEventListener("click", (event) => {
  if (!event.target.closest("#paint")) return;
  const card = document.getElementById("result");
  const top = card.getBoundingClientRect().top;
  if (top < 0 || top > innerHeight * 0.4) scrollTo({ top: scrollY + top - 12, behavior: "smooth" });
});
// A key that is no longer valid leads back to the door, wherever that comes to light.
(() => {
  const fetched = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await fetched(...asked);
    const door = new URL("login", document.baseURI);
    const shut = answer.status === 401 || (answer.redirected && answer.url === door.href);
    if (shut && new URL(answer.url).origin === location.origin) location.assign(door);
    return answer;
  };
})();
