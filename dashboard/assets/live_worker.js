// One event stream for all tabs of this browser. Knows no page: it hands on what the server says.
"use strict";

const ports = new Set();
let stream = null;
let streamUrl = null;
let lastSeq = null;
let lastState = { kind: "connecting" };
let lastBeat = null; // with it a tab that opens later knows how fresh the stream is, and the server's clock
let pause_ms = 500;

function tell(message) {
  for (const port of ports) port.postMessage(message);
}

function setState(kind) {
  lastState = { kind, at: Date.now() };
  tell(lastState);
}

function hear(event) {
  let data = {};
  try { data = JSON.parse(event.data || "{}"); } catch { return; }
  if (data.seq !== undefined) lastSeq = data.seq;
  pause_ms = 500;
  const at = Date.now();
  if (data.time) lastBeat = { kind: "heartbeat", data: { time: data.time }, at };
  lastState = { kind: "open", at };
  tell({ kind: event.type, data, at });
}

function connect() {
  const url = new URL(streamUrl);
  if (lastSeq !== null) url.searchParams.set("since", lastSeq);
  stream = new EventSource(url);
  stream.onopen = () => setState("open");
  for (const name of ["change", "heartbeat", "resync"]) stream.addEventListener(name, hear);
  stream.onerror = () => {
    // the browser would repeat the old address; a new stream resumes from the last number seen
    stream.close();
    setState("closed");
    setTimeout(connect, pause_ms);
    pause_ms = Math.min(pause_ms * 2, 8000);
  };
}

function begin(port, url) {
  ports.add(port);
  port.postMessage(lastState);
  if (lastState.kind === "open" && lastBeat) port.postMessage(lastBeat);
  if (streamUrl === null) { streamUrl = url; connect(); }
}

if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
  self.onconnect = (event) => {
    const port = event.ports[0];
    port.onmessage = ({ data }) => (data.leave ? ports.delete(port) : begin(port, data.url));
  };
} else {
  // browsers without shared workers: a worker, and so a stream, for each tab
  self.onmessage = ({ data }) => { if (data.url) begin(self, data.url); };
}
