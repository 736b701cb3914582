"""One rule that opens incidents as an operator reads it: its parameters with their meaning, and what a trial of it found."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pandascope.cli.audit import change_words
from pandascope.cli.rendering import age, duration, facts, harmless, heading, plain, table
from pandascope.cli.until import clock_words

_SHOWN_OPENINGS = 20


def show_rule(
    terminal: Console, row: Mapping[str, Any], evaluator: Mapping[str, Any], measured: list[Mapping[str, Any]]
) -> None:
    """One rule, its parameters with their meaning, and what it measured last."""
    terminal.print(Text.assemble(f"rule {row['rule_id']} {plain(row['name'])} ", rule_state(row)))
    opened = (
        f"{row['n_opened']} in 7 days, {row['n_open']} not resolved" if row["n_opened"] or row["n_open"] else "none"
    )
    terminal.print(
        facts(
            {
                "says": plain(row["title"]) if row["title"] else "",
                "looks at": plain(row["evaluator"])
                + (f": {plain(evaluator['sentence'])}" if evaluator["sentence"] != row["title"] else ""),
                "opens": f"incidents of kind {plain(row['kind'])}, at least {plain(row['severity_floor'])}",
                "opened": opened + (f", last {age(row['last_opened'])} ago" if row["last_opened"] else ""),
                "version": f"{row['version']}, {age(row['modification_time'])} ago"
                + (f" by {plain(row['modified_by'])}" if row["modified_by"] else ""),
                "not applied": plain(row["disabled_reason"]) if row["disabled_reason"] else "",
            }
        )
    )
    terminal.print(heading("parameters"))
    terminal.print(parameter_table(evaluator, row["parameters"]))
    if measured:
        terminal.print(
            heading(f"measured last{f' ({unit})' if (unit := plain(evaluator.get('unit') or '')) != '-' else ''}")
        )
        rows = [(one["subject"], f"{one['value']:g}", age(one["bin_time"])) for one in measured[:20]]
        terminal.print(table(("of", ">value", ">ago"), rows))
    terminal.print(
        Text(f"\nnext: panda alarms try {shlex.quote(plain(row['name']))} NAME=VALUE, then change", style="dim")
    )


def parameter_table(evaluator: Mapping[str, Any], present: Mapping[str, Any]) -> Any:
    """The parameters of an evaluator; those that a rule does not set are dim."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("name", "value", "range"):
        made.add_column(title, no_wrap=True)
    made.add_column("meaning", overflow="fold")
    for one in evaluator["parameters"]:
        is_set = one["name"] in present
        value = Text(_value(present[one["name"]]) if is_set else _value(one["default"]), style="" if is_set else "dim")
        bounds = [
            f"{words} {_value(one[name])}"
            for name, words in (
                ("at_least", ">="),
                ("more_than", ">"),
                ("at_most", "<="),
                ("less_than", "<"),
                ("one_of", "of"),
            )
            if name in one
        ]
        meaning = harmless(one["meaning"]).replace("\n", " ")
        made.add_row(Text(plain(one["name"])), value, Text(", ".join(bounds)), Text(meaning))
    known = {one["name"] for one in evaluator["parameters"]}
    for name, value in present.items():
        if name not in known:
            made.add_row(
                Text(plain(name)), Text(_value(value)), Text(""), Text("no parameter of this evaluator", style="red")
            )
    return made


def show_trial(terminal: Console, document: Mapping[str, Any]) -> None:
    """The sentence, then the openings, newest last."""
    terminal.print(Text(plain(document["sentence"]), style="bold"), soft_wrap=True)
    if not document["is_complete"]:
        since = f"; known since {clock_words(document['exact_from'])}" if document["exact_from"] else ""
        terminal.print(Text(f"not all of it could be looked at{since}", style="yellow"))
    openings = document["openings"]
    if openings:
        rows = [
            (
                clock_words(one["time"]),
                one["subject"],
                f"{one['value']:g}",
                duration(one["would_last_s"]),
                one["incident_id"] or "",
                one["title"],
            )
            for one in openings[-_SHOWN_OPENINGS:]
        ]
        terminal.print(table(("opened", "of", ">value", ">would last", ">incident", "~what"), rows))
    if document["count"] > len(openings[-_SHOWN_OPENINGS:]):
        terminal.print(Text(f"the last {_SHOWN_OPENINGS} of {document['count']:,}; more with --json", style="dim"))


def difference_words(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> str:
    """What a version changed; of the first nothing, since it is all of it."""
    names = ("title", "kind", "severity_floor", "is_active")
    if not earlier:
        return parameter_words(later.get("parameters") or {})
    said = [
        change_words({name: earlier.get(name) for name in names}, {name: later.get(name) for name in names}),
        change_words(earlier.get("parameters"), later.get("parameters")),
    ]
    return ", ".join(one for one in said if one)


def parameter_words(parameters: Mapping[str, Any]) -> str:
    """`limit_s=600, queues=CERN`."""
    return ", ".join(f"{plain(name)}={_value(value)}" for name, value in parameters.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def rule_state(row: Mapping[str, Any]) -> Text:
    """Whether it opens anything."""
    if row["disabled_reason"]:
        return Text("not applied", style="red")
    return Text("on", style="green") if row["is_active"] else Text("off", style="dim")
