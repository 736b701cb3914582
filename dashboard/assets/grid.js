// The list of jobs: cells as text, keyboard, fresh values for the rows in sight without moving them.
"use strict";

(function () {
  const h = (...parts) => React.createElement(...parts);
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const LOADING = h("span", { className: "cell-loading" });
  const numbered = (template, number) => template.replace("/0/", `/${encodeURIComponent(number)}/`);

  cells.JobState = ({ value, looks }) => {
    if (value === undefined) return LOADING;
    const look = looks[value] || { shape: "dot", colour: "#9aa1ab" };
    return h("span", { className: "mark" },
      h("span", { className: `shape shape-${look.shape}`, style: { "--colour": look.colour }, "aria-hidden": "true" }),
      h("span", null, value));
  };
  cells.NumberLink = ({ value, to, sign }) =>
    value === undefined || value === null ? null : h("a", { href: numbered(to, value), className: "mono" }, (sign || "") + value);
  cells.FailingLine = ({ value, data, to }) =>
    !value ? null : h("a", { href: numbered(to, data.panda_id), className: "mono cell-line", title: value }, value);
  cells.ErrorCode = ({ value, data }) => (value ? h("span", { title: `${value} ${data.error_name}`, className: "mono" }, value) : null);
  cells.PlainText = ({ value }) => (value ? h("span", { title: value }, value) : null);
  cells.Age = ({ value }) => (value ? h("span", { className: "age", "data-time": value, key: value }) : null);

  functions.openJob = ({ event, data }) => {
    if (!data || (event.type === "keydown" && event.key !== "Enter") || event.target.closest("a")) return;
    if (String(window.getSelection())) return; // somebody is marking text to copy
    const link = document.querySelector(`.job-grid [row-id="${CSS.escape(data.panda_id)}"] a`);
    if (link) window.pandascope.go(link.getAttribute("href"));
  };

  function api() {
    try { return window.dash_ag_grid.getApi("jobs-grid"); } catch { return null; }
  }
  let asked_in = null;
  const no_update = () => window.dash_clientside.no_update;

  window.dash_clientside = Object.assign(window.dash_clientside || {}, {
    grid: {
      start_over(question) {
        const frame = document.getElementById("jobs-frame");
        // a grid that has just been made asks for its first rows by itself; later questions make it ask anew
        const is_new = frame !== asked_in;
        const grid = api();
        if (!question || !frame) return no_update();
        asked_in = frame;
        if (is_new || !grid) return no_update();
        grid.purgeInfiniteCache();
        if (grid.getDisplayedRowCount()) grid.ensureIndexVisible(0, "top");
        return no_update();
      },
      rows_in_sight() {
        const grid = api();
        if (!grid || !document.querySelector(".job-grid")) return no_update();
        const { ended } = grid.getGridOption("context");
        const ids = grid.getRenderedNodes().filter((node) => node.data && !ended.includes(node.data.job_status)).map((node) => node.id);
        return ids.length ? ids.slice(0, 100) : no_update();
      },
      put_fresh(rows) {
        const grid = api();
        for (const row of (grid && rows) || []) grid.getRowNode(row.panda_id)?.setData(row);
        return no_update();
      },
      ask_again(clicks) {
        return clicks ? { clicks, at: Date.now() } : no_update();
      },
    },
  });
})();
