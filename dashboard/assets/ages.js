// "3 min ago": fills every element that carries data-time, at once when it appears and again as time passes.
"use strict";

(function () {
  const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function words_of_age(seconds) {
    if (seconds < 3) return "just now";
    const [size, unit] = STEPS.find(([length]) => seconds >= length);
    return `${Math.floor(seconds / size)} ${unit} ago`;
  }

  function fill(element) {
    const time = new Date(element.dataset.time);
    if (Number.isNaN(time.getTime())) return;
    const now = window.pandascope.now ? window.pandascope.now() : Date.now();
    const text = words_of_age((now - time) / 1000);
    if (element.textContent !== text) element.textContent = text;
    const full = time.toISOString().replace("T", " ").slice(0, 19) + " UTC";
    if (element.title !== full) element.title = full;
  }

  const fill_all = () => document.querySelectorAll("[data-time]").forEach(fill);
  window.pandascope = Object.assign(window.pandascope || {}, { words_of_age, fill_age: fill });

  let planned = false;
  new MutationObserver(() => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => { planned = false; fill_all(); });
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-time"] });
  setInterval(fill_all, 1000);
})();
