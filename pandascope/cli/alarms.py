"""`panda alarms`: the rules that open incidents: seen, tried on the stored past, edited, and brought back as they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.alarm_detail import (
    difference_words,
    parameter_table,
    parameter_words,
    rule_state,
    show_rule,
    show_trial,
)
from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import (
    age,
    console,
    footer,
    plain,
    print_json,
    state,
    table,
)
from pandascope.errors import NotFound, Usage

if TYPE_CHECKING:
    from pandascope.client import Client

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="See, try and edit the rules that open incidents (those for failed jobs: `panda rules`).",
)

Rule = Annotated[str, typer.Argument(metavar="RULE", help="Its name or number.")]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=VALUE", help="Parameters, as `panda alarms show` lists them; NAME= for its default."),
]
Title = Annotated[str | None, typer.Option(metavar="TEXT", help="Of the incidents, as `panda alarms show` has it.")]
Kind = Annotated[str | None, typer.Option(metavar="NAME", help="Kind of the incidents that it opens.")]
Floor = Annotated[
    str | None,
    typer.Option("--severity", metavar="LEVEL", help="At least: critical, error, warning; impact may raise it."),
]
Version = Annotated[
    int | None, typer.Option("--version", metavar="N", min=1, help="The version you looked at; default: as it is now.")
]


@app.callback()
def _alarms() -> None:
    """See, try and edit the rules that open incidents."""


@app.command("list")
def list_rules(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the rules in the order they are asked. Says what each opened."""
    with connect(url, data) as client:
        document = client.incident_rules()
    if as_json:
        print_json(document)
        return
    columns = (">rule", "name", "state", ">open", ">opened 7 d", ">last", "severity", "kind", "~says")
    rows = [
        (
            *(row["rule_id"], row["name"], rule_state(row), row["n_open"], row["n_opened"], age(row["last_opened"])),
            *(state(row["severity_floor"]), row["kind"]),
            row["disabled_reason"] or row["title"] or parameter_words(row["parameters"]),
        )
        for row in document["rules"]
    ]
    console().print(table(columns, rows) if rows else "no rules: nothing opens incidents but people")
    footer(console(), document, len(rows), "")


@app.command()
def show(rule: Rule, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show one rule and what it measured last. Each parameter stands with its value, range and meaning."""
    with connect(url, data) as client:
        row, evaluator = _find(client, rule)
        measured = client.incident_rule_versions(row["rule_id"])["measured"]
    if as_json:
        print_json({"rule": row, "evaluator": evaluator, "measured": measured})
        return
    show_rule(console(), row, evaluator, measured)


@app.command()
def evaluators(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One, with its parameters.")] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what a rule can look at, or the parameters of one."""
    with connect(url, data) as client:
        found = client.incident_rules()["evaluators"]
    found = [one for one in found if name in (None, one["name"])]
    if not found:
        raise NotFound(f"there is no evaluator {name}", field="NAME", remedy="see `panda alarms evaluators`")
    if as_json:
        print_json(found)
    elif name is None:
        rows = [(one["name"], one["sort"], ", ".join(one["kinds"]), one["sentence"]) for one in found]
        console().print(table(("evaluator", "looks at", "kinds", "~says"), rows))
    else:
        console().print(Text(f"{plain(name)}: {plain(found[0]['sentence'])}"), soft_wrap=True)
        console().print(parameter_table(found[0], {}))


@app.command("try")
def try_rule(
    rule: Rule,
    parameters: Parameters = None,
    is_new: Annotated[
        bool, typer.Option("--new", help="RULE is an evaluator: try a rule that is not there yet.")
    ] = False,
    days: Annotated[float, typer.Option(metavar="N", min=0.01, max=30, help="How far to look back.")] = 7,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say when a rule would have opened incidents. As it is or with other parameters, in the stored past; changes nothing."""
    with connect(url, data) as client:
        if is_new:
            tried: dict[str, Any] = {"evaluator": rule, "parameters": _merged({}, parameters)}
        else:
            row, _ = _find(client, rule)
            tried = {"rule_id": row["rule_id"]}
            tried |= {"parameters": _merged(row["parameters"], parameters)} if parameters else {}
        document = client.try_incident_rule(tried, days)
    if as_json:
        print_json(document)
        return
    show_trial(console(), document)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called: small letters, digits and _.")],
    evaluator: Annotated[str, typer.Argument(metavar="EVALUATOR", help="What it looks at: `panda alarms evaluators`.")],
    parameters: Parameters = None,
    title: Title = None,
    kind: Kind = None,
    severity: Floor = None,
    off: Annotated[bool, typer.Option("--off", help="Do not let it open anything yet.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a rule. Try it before: `panda alarms try EVALUATOR --new NAME=VALUE`."""
    said = {"title": title, "kind": kind, "severity_floor": severity, "is_active": False if off else None}
    rule = {"name": name, "evaluator": evaluator, "parameters": _merged({}, parameters)}
    with connect(url, data) as client:
        row = client.add_incident_rule(rule | {key: value for key, value in said.items() if value is not None})
    _told(row, "made", as_json)


@app.command()
def change(
    rule: Rule,
    parameters: Parameters = None,
    title: Title = None,
    kind: Kind = None,
    severity: Floor = None,
    version: Version = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change a rule; what is left out stays. Try it before: `panda alarms try RULE NAME=VALUE`."""
    said = {"title": title, "kind": kind, "severity_floor": severity}
    changes: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if not changes and not parameters:
        raise Usage("nothing to change", field="NAME=VALUE", remedy="parameters, --title, --kind or --severity")
    with connect(url, data) as client:
        row, _ = _find(client, rule)
        if parameters:
            changes["parameters"] = _merged(row["parameters"], parameters)
        changed = client.change_incident_rule(row["rule_id"], version or row["version"], changes)
    _told(changed, f"changed: {difference_words(row, changed) or 'nothing'}", as_json)


@app.command()
def on(rule: Rule, version: Version = None, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Let a rule open incidents."""
    _turn(rule, True, version, url, data, as_json)


@app.command()
def off(rule: Rule, version: Version = None, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Let a rule open nothing more; its incidents end as they would."""
    _turn(rule, False, version, url, data, as_json)


@app.command()
def history(rule: Rule, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List every version of a rule: who changed what when. `panda alarms restore RULE VERSION` brings one back."""
    with connect(url, data) as client:
        # of a rule that was taken away only the number is known
        number = int(rule) if rule.isascii() and rule.isdigit() else _find(client, rule)[0]["rule_id"]
        document = client.incident_rule_versions(number)
    if as_json:
        print_json(document)
        return
    versions = document["versions"]
    rows = [
        (row["version"], age(row["time"]), row["who"], row["what"], difference_words(earlier, row["document"]))
        for row, earlier in zip(versions, [*(one["document"] for one in versions[1:]), {}], strict=True)
    ]
    console().print(table((">version", ">age", "who", "did", "~what"), rows) if rows else "it was never changed")


@app.command()
def restore(
    rule: Rule,
    wanted: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="As `panda alarms history` lists them.")],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Bring an earlier version of a rule back, as a new one."""
    with connect(url, data) as client:
        row, _ = _find(client, rule)
        restored = client.restore_incident_rule(row["rule_id"], row["version"], wanted)
    _told(restored, f"is as version {wanted} said", as_json)


@app.command()
def remove(rule: Rule, version: Version = None, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Take a rule away that people made. Those that came with the system are turned off instead."""
    with connect(url, data) as client:
        row, _ = _find(client, rule)
        removed = client.remove_incident_rule(row["rule_id"], version or row["version"])
    _told(removed, "removed", as_json)


def _turn(rule: str, is_active: bool, version: int | None, url: Any, data: Any, as_json: bool) -> None:
    with connect(url, data) as client:
        row, _ = _find(client, rule)
        if row["is_active"] == is_active and not row["disabled_reason"]:
            changed = row
        else:
            changed = client.change_incident_rule(row["rule_id"], version or row["version"], {"is_active": is_active})
    _told(changed, "opens incidents" if is_active else "opens nothing more", as_json)


def _find(client: Client, word: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rule of this name or number, and its evaluator. Raises NotFound."""
    document = client.incident_rules()
    for row in document["rules"]:
        if word in (row["name"], str(row["rule_id"])):
            of_it = [one for one in document["evaluators"] if one["name"] == row["evaluator"]]
            return dict(row), dict(of_it[0]) if of_it else {"name": row["evaluator"], "parameters": [], "sentence": ""}
    raise NotFound(f"there is no rule {word}", field="RULE", remedy="see `panda alarms list`")


def _merged(present: Mapping[str, Any], words: list[str] | None) -> dict[str, Any]:
    """Parameters with what was said: numbers, true, false and lists as JSON, anything else as text. Raises Usage."""
    merged = dict(present)
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Usage(f"'{word}' is no parameter", field="NAME=VALUE", remedy="write it as in limit_s=600")
        name = name.replace("-", "_")
        if value == "":
            merged.pop(name, None)
            continue
        try:
            merged[name] = json.loads(value)
        except ValueError:
            merged[name] = value
    return merged


def _told(row: Mapping[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    line = f"rule {row['rule_id']} {plain(row['name'])} {what} (version {row['version']}{'' if row['is_active'] else ', off'})"
    console().print(Text(line), soft_wrap=True)
