// The live channel in a tab: the badge, and change signals handed to Dash. Signals, not rows: the page asks again.
"use strict";

(function () {
  const LAGGING_AFTER_S = 15; // heartbeats come every 10 s
  const LOST_AFTER_S = 30;
  const SPACING_MS = 1200; // re-reading more often than this helps nobody
  const live = { connected: false, lastWord: null, skew_ms: 0, pending: new Set(), sent: 0, asking: 0, last: null };

  window.pandascope = Object.assign(window.pandascope || {}, { now: () => Date.now() + live.skew_ms, live });

  function receive({ data: message }) {
    if (message.kind === "open") {
      if (live.connected === false && live.last === "closed") live.pending.add("*"); // something may have been missed
      live.connected = true;
      live.lastWord = message.at;
      if (window.pandascope.strayed) location.reload(); // the page of this address could not be asked for
    } else if (message.kind === "closed" || message.kind === "connecting") {
      live.connected = false;
    } else {
      live.connected = true;
      live.lastWord = message.at;
      if (message.data.time) live.skew_ms = new Date(message.data.time) - message.at;
      if (message.kind === "change") for (const topic of message.data.topics || []) live.pending.add(topic);
      if (message.kind === "resync") live.pending.add("*");
    }
    if (message.kind === "open" || message.kind === "closed") live.last = message.kind;
    hand_on();
    show();
  }

  function concerns() {
    const page = document.querySelector("[data-topics]");
    if (!page) return [];
    const wanted = page.dataset.topics.split(" ");
    const general = new Set(wanted.map((topic) => (topic.includes(":") ? topic.split(":")[0] + "s" : topic)));
    const pending = [...live.pending];
    // a signal that names no single object may mean any of them
    const unnamed = pending.filter((topic) => general.has(topic) && !pending.some((t) => t.startsWith(topic.slice(0, -1) + ":")));
    return pending.filter((topic) => topic === "*" || wanted.includes(topic)).concat(unnamed);
  }

  function hand_on() {
    if (!live.pending.size || document.hidden || live.asking > 0) return;
    if (Date.now() - live.sent < SPACING_MS) return;
    const topics = concerns();
    live.pending.clear();
    if (!topics.length) return;
    live.sent = Date.now();
    window.dash_clientside.set_props("live", { data: { topics, at: live.sent } });
  }

  // callbacks slower than the signals would otherwise be overtaken for ever and show nothing
  const fetch_before = window.fetch;
  window.fetch = function (...request) {
    const url = String(request[0] && request[0].url ? request[0].url : request[0]);
    if (!url.includes("_dash-update-component")) return fetch_before.apply(this, request);
    live.asking += 1;
    return fetch_before.apply(this, request).finally(() => { live.asking -= 1; });
  };

  function show() {
    const badge = document.getElementById("live-badge");
    if (!badge) return;
    const age_s = live.lastWord === null ? null : Math.max(0, Math.round((Date.now() - live.lastWord) / 1000));
    let word = "LIVE";
    if (live.lastWord === null) word = live.last === "closed" ? "DISCONNECTED" : "CONNECTING";
    else if (!live.connected || age_s > LOST_AFTER_S) word = "DISCONNECTED";
    else if (age_s > LAGGING_AFTER_S) word = "LAGGING";
    const age = age_s === null ? "" : window.pandascope.words_of_age(age_s);
    const text = word === "LIVE" ? word : age ? `${word} · as of ${age}` : word;
    badge.title = age ? `last word from the server ${age}` : "no word from the server yet";
    // nothing can be changed while the server is away; assets/3_pages.css says why
    for (const actions of document.querySelectorAll(".choices")) actions.inert = word === "DISCONNECTED";
    if (badge.dataset.state === word && badge.textContent === text) return;
    badge.dataset.state = word;
    badge.textContent = text;
  }

  function start() {
    const badge = document.getElementById("live-badge");
    if (!badge || !window.dash_clientside || !window.dash_clientside.set_props) return setTimeout(start, 50);
    const url = new URL(badge.dataset.stream, window.location.href);
    url.searchParams.set("topics", "jobs,incidents,queues,tasks,silences,shift,notices,rules,deeds");
    if (window.SharedWorker) {
      const worker = new SharedWorker(badge.dataset.worker, { name: "pandascope-live" });
      worker.port.onmessage = receive;
      worker.port.start();
      worker.port.postMessage({ url: url.href });
      window.addEventListener("pagehide", () => worker.port.postMessage({ leave: true }));
      window.addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage({ url: url.href }));
    } else {
      const worker = new Worker(badge.dataset.worker);
      worker.onmessage = receive;
      worker.postMessage({ url: url.href });
    }
    setInterval(() => { hand_on(); show(); }, 500);
    document.addEventListener("visibilitychange", hand_on);
  }

  start();
})();
