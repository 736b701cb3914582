// Links without reloading, Alt+click on facets, marks of plots as links, the keyboard, the colour scheme.
"use strict";

(function () {
  const SCHEME = "mantine-color-scheme-value"; // where Mantine itself looks
  const prefix = () => document.querySelector(".logo")?.getAttribute("href") || "/";

  function go(href) {
    if (new URL(href, location.href).href === location.href) return;
    const from = location.pathname;
    stray();
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (location.pathname !== from) window.scrollTo(0, 0);
  }
  window.pandascope = Object.assign(window.pandascope || {}, { go });

  // an address that was gone to while the server was away is asked for when it is back (live.js)
  function stray() {
    const badge = document.getElementById("live-badge");
    if (badge && badge.dataset.state === "DISCONNECTED") window.pandascope.strayed = true;
  }
  window.addEventListener("popstate", stray);

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (event.defaultPrevented || event.button !== 0 || !link || link.target) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    const href = event.altKey && link.dataset.not ? link.dataset.not : link.getAttribute("href");
    if (!href.startsWith(prefix())) return;
    event.preventDefault();
    go(href);
  });

  // a bar of a plot carries the address of what it counts
  function connect_plot(plot) {
    if (plot.dataset.connected || !plot.on) return;
    plot.dataset.connected = "yes";
    plot.on("plotly_click", ({ points }) => {
      const href = points[0]?.customdata;
      if (typeof href === "string" && href.startsWith(prefix())) go(href);
    });
  }
  new MutationObserver(() => document.querySelectorAll(".js-plotly-plot").forEach(connect_plot))
    .observe(document.documentElement, { childList: true, subtree: true });

  const scheme = () => document.documentElement.getAttribute("data-mantine-color-scheme") || "light";
  function set_scheme(name) {
    localStorage.setItem(SCHEME, name);
    document.documentElement.setAttribute("data-mantine-color-scheme", name);
  }
  function copy_address(button) {
    const done = () => { const text = button.textContent; button.textContent = "Copied"; setTimeout(() => { button.textContent = text; }, 1500); };
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(done, () => prompt("Address of this view", location.href));
    else prompt("Address of this view", location.href); // clipboards need a secure page
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#scheme-toggle")) set_scheme(scheme() === "dark" ? "light" : "dark");
    const copier = event.target.closest?.("[data-copy]");
    if (copier) copy_address(copier);
    if (!event.target.closest?.(".search")) document.getElementById("search-hits")?.classList.remove("open");
  });
  document.addEventListener("focusin", (event) => {
    document.getElementById("search-hits")?.classList.toggle("open", Boolean(event.target.closest?.(".search")));
  });

  // the enter key asks; once the hits are there it opens the first one
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "search" || event.key !== "Enter") return;
    const hits = document.querySelector("#search-hits ul");
    if (!hits || hits.dataset.text !== event.target.value.trim()) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.blur();
    hits.querySelector("a").click();
  }, true);

  // the enter key in a form of filters shows what passes them; a list of suggestions that is open takes it first
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.(".narrow-form input");
    if (event.key !== "Enter" || !field || field.getAttribute("aria-expanded") === "true") return;
    event.preventDefault();
    setTimeout(() => field.closest(".narrow-form").querySelector("button.button").click(), 0);
  });

  const pages = { 1: "", 2: "incidents/", 3: "queues/", 4: "jobs/", 5: "tasks/", 6: "users/", 7: "shares/", 8: "rules/", 9: "system/", 0: "shift/" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && field) field.blur();
    if (field || document.querySelector("[role='dialog']")) return; // what lies behind a dialogue is out of reach
    const button = [...document.querySelectorAll("[data-key]")].find((b) => b.dataset.key === event.key && b.getClientRects().length && !b.closest("[inert]"));
    if (button) { event.preventDefault(); button.click(); }
    else if (event.key === "/") { event.preventDefault(); document.getElementById("search")?.focus(); }
    else if (event.key === "d") document.getElementById("scheme-toggle")?.click();
    else if (event.key === "l") document.querySelector("#open-in-log, #tab-log")?.click();
    else if (event.key === "y") document.querySelector("[data-copy]")?.click();
    else if (event.key in pages) go(prefix() + pages[event.key]);
  });
})();
