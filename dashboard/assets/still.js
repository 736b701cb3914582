// What is only to be looked at (dashboard/components/still.py): a whole tree of elements as one component of Dash.
"use strict";

(function () {
  const React = window.React;
  const ADDRESSES = ["href", "src"];

  function draw(one) {
    if (!Array.isArray(one)) return one;
    const [tag, given, children] = one;
    const attributes = { ...given };
    for (const name of ADDRESSES) {
      if (name in attributes) attributes[name] = window.dash_clientside.clean_url(attributes[name]); // as Dash's own do
    }
    return React.createElement(tag, attributes, ...children.map(draw));
  }

  function Still({ trees }) {
    return React.useMemo(() => React.createElement(React.Fragment, null, ...trees.map(draw)), [trees]);
  }

  window.pandascope_still = { Still: React.memo(Still) };
})();
