// The log viewer: lines as text, numbers as permalinks, the failing line in sight, errors to step through.
"use strict";

(function () {
  const ERROR = /\w*(error|exception)\b|\b(traceback|fatal|critical|failed|failure|segmentation fault|killed|no such file)\b/i;
  const CHUNK = 200; // lines per block; blocks out of sight cost nothing (content-visibility)
  const shown = { key: null, text: null, errors: [], at: null };
  const view = () => document.getElementById("log-view");
  const line_of = (number) => view()?.querySelector(`[data-line="${Number(number)}"]`);

  function make(tag, class_name, text) {
    const element = document.createElement(tag);
    element.className = class_name;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // control characters are shown as what they are, never obeyed
  const visible = (text) => text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\u00b7");

  function draw(data) {
    const lines = data.text.split("\n");
    if (lines.length > 1 && lines[lines.length - 1] === "") lines.pop();
    const blocks = [];
    shown.errors = [];
    lines.forEach((text, index) => {
      if (index % CHUNK === 0) blocks.push(make("div", "log-chunk"));
      const number = data.first + index;
      const line = make("div", "log-line");
      line.dataset.line = number;
      const link = make("a", "log-number", String(number));
      link.href = data.base + (data.base.includes("?") ? "&" : "?") + "line=" + number;
      line.append(link, make("span", "log-text", visible(text)));
      if (number === data.culprit) line.classList.add("is-culprit");
      if (ERROR.test(text)) { line.classList.add("is-error"); shown.errors.push(number); }
      blocks[blocks.length - 1].append(line);
    });
    view().replaceChildren(...blocks);
    view().style.setProperty("--digits", String(data.first + lines.length).length + 1);
  }

  function place(text) {
    const element = document.getElementById("log-place");
    if (element) element.textContent = text;
  }

  function show_line(number) {
    const line = line_of(number);
    if (!line) return;
    view().querySelector(".is-current")?.classList.remove("is-current");
    line.classList.add("is-current");
    shown.at = Number(number);
    const reach = () => { view().scrollTop += line.getBoundingClientRect().top - view().getBoundingClientRect().top - view().clientHeight / 3; };
    reach();
    requestAnimationFrame(reach); // blocks get their true height when they come into sight
    setTimeout(reach, 60);
    const rank = shown.errors.indexOf(shown.at);
    place(rank >= 0 ? `error ${rank + 1} of ${shown.errors.length}` : `line ${number}`);
  }

  function step(direction) {
    const at = shown.at ?? 0;
    const next = direction > 0 ? shown.errors.find((n) => n > at) ?? shown.errors[0] : shown.errors.findLast((n) => n < at) ?? shown.errors.at(-1);
    if (next === undefined) place("no line looks like an error");
    else show_line(next);
  }

  document.addEventListener("click", (event) => {
    const id = event.target.closest?.("button")?.id;
    if (id === "log-next") step(1);
    if (id === "log-previous") step(-1);
    if (id === "log-to-culprit") { const line = view()?.querySelector(".is-culprit"); if (line) show_line(line.dataset.line); else place("no failing line found in this log"); }
  });

  window.dash_clientside = Object.assign(window.dash_clientside || {}, {
    log: {
      show(data) {
        if (data && view()) {
          const same = shown.key === data.key && shown.text === data.text && view().childElementCount > 0;
          if (!same) draw(data);
          const target = data.line ?? data.culprit;
          const mark = `${data.key}#${target}`;
          // a log that has only grown stays where its reader is
          if (shown.mark !== mark || shown.view !== view()) {
            if (target) show_line(target);
            else place("");
          }
          Object.assign(shown, { key: data.key, text: data.text, mark, view: view() });
        }
        return window.dash_clientside.no_update;
      },
    },
  });
})();
