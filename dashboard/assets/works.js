// Buttons that act: what was pressed, on what, with which note, goes to the server; what is marked in a list is kept here.
"use strict";

(function () {
  const marked = new Set();
  let place = location.pathname;

  function ask(button) {
    const { do: work, to, note } = button.dataset;
    const field = note ? document.getElementById(note) : null;
    const whom = to === "marked" ? [...marked].join(",") : to;
    window.dash_clientside.set_props("work", { data: { do: work, to: whom, note: field ? field.value : "", at: Date.now() } });
  }

  function shown() { return [...document.querySelectorAll("[data-mark]")].filter((box) => box.dataset.mark !== "*"); }

  function draw() {
    reveal();
    if (location.pathname !== place) { marked.clear(); place = location.pathname; }
    const boxes = shown();
    if (boxes.length) for (const number of [...marked]) if (!boxes.some((box) => box.dataset.mark === number)) marked.delete(number);
    for (const box of boxes) set(box, "aria-checked", String(marked.has(box.dataset.mark)));
    const all = document.querySelector("[data-mark='*']");
    if (all) set(all, "aria-checked", boxes.length && marked.size === boxes.length ? "true" : marked.size ? "mixed" : "false");
    const bar = document.querySelector(".bulk-bar");
    if (!bar) return;
    set(bar, "data-some", marked.size ? "yes" : "no");
    const count = bar.querySelector(".bulk-count");
    const words = marked.size ? `${marked.size} marked` : "";
    if (count && count.dataset.words !== words) count.dataset.words = words;
  }
  function set(element, name, value) { if (element.getAttribute(name) !== value) element.setAttribute(name, value); }

  // what was asked for below a long form comes into sight
  let is_tried = false;
  function reveal() {
    const answer = is_tried && document.querySelector("#dialogue-preview:not([data-dash-is-loading]) > *");
    if (!answer) return;
    is_tried = false;
    answer.scrollIntoView({ block: "start" });
  }

  function mark(box) {
    const number = box.dataset.mark;
    if (number === "*") {
      const boxes = shown(), is_full = boxes.length > 0 && marked.size === boxes.length;
      marked.clear();
      if (!is_full) for (const one of boxes) marked.add(one.dataset.mark);
    } else if (!marked.delete(number)) marked.add(number);
    draw();
  }

  async function copy(button) {
    const text = `${button.dataset.copyText}\n${location.href}\n`, words = button.textContent;
    const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = words; }, 1500); };
    try { await navigator.clipboard.writeText(text); done(); } catch (error) { prompt("Text", text); } // clipboards need a secure page
  }

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (target.closest?.("#dialogue-try, #dialogue-go")) is_tried = true;
    const box = target.closest?.("[data-mark]");
    if (box) { event.preventDefault(); mark(box); return; }
    const copier = target.closest?.("[data-copy-text]");
    if (copier) copy(copier);
    if (target.closest?.(".outcome-close")) window.dash_clientside.set_props("outcome", { children: null });
    const button = target.closest?.("[data-do]");
    if (button && !button.disabled && !button.closest("[inert]")) { event.preventDefault(); ask(button); }
  });
  // the enter key confirms; of answers that changed the dialogue shows first what follows from them
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.(".dialogue input");
    const go = document.getElementById("dialogue-go");
    if (event.key !== "Enter" || !field || !go || field.getAttribute("aria-haspopup")) return;
    event.preventDefault();
    field.blur();
    setTimeout(() => { if (!go.disabled) go.click(); }, 50);
  });
  new MutationObserver(draw).observe(document.documentElement, { childList: true, subtree: true });
})();
