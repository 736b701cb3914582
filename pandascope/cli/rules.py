"""`panda rules`: the rules for jobs that fail: seen, tried on what has failed already, edited, and what each did."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, heading, plain, print_json, table
from pandascope.cli.rule_options import (
    ActionName,
    Architecture,
    Attempts,
    Diag,
    Error,
    Release,
    RuleId,
    Share,
    Steps,
    Until,
    Words,
    error_words,
    read_error,
    read_rule,
)
from pandascope.errors import Usage

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="See, try and edit the rules for jobs that fail (actions: no_retry, limit_retry, increase_memory, ...).",
)


@app.callback()
def _rules() -> None:
    """See, try and edit the rules for jobs that fail."""


@app.command("list")
def list_rules(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the rules with how often each matched and acted."""
    with connect(url, data) as client:
        document = client.retry_rules()
    if as_json:
        print_json(document)
        return
    columns = (">rule", "error", "action", "state", ">matched", ">acted", ">last", "~when", "~why")
    rows = [
        (
            row["rule_id"],
            error_words(row),
            _action_words(row),
            _state(row),
            row["n_matched"],
            row["n_acted"],
            age(row["last_matched"]),
            _when(row),
            row["disabled_reason"] or row["description"],
        )
        for row in document["rules"]
    ]
    console().print(table(columns, rows) if rows else "no rules")
    passive = [row["name"] for row in document["actions"] if not row["is_active"]]
    if passive:
        console().print(Text(f"passive for all rules: {', '.join(passive)}", style="yellow"))
    footer(console(), document, len(rows), "")


@app.command()
def add(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="What to do: no_retry, increase_memory, ...")],
    error: Error = None,
    diag: Diag = None,
    max_attempt: Attempts = None,
    steps: Steps = None,
    release: Release = None,
    architecture: Architecture = None,
    share: Share = None,
    until: Until = None,
    description: Words = None,
    passive: Annotated[bool, typer.Option("--passive", help="Only note what it would have done.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a rule. Try it before (`panda rules try`), or begin with --passive and look at its log."""
    rule = read_rule(action, error, diag, max_attempt, steps, release, architecture, share, until, description)
    with connect(url, data) as client:
        _told(client.add_retry_rule({**rule, "is_active": not passive}), "made", as_json)


@app.command()
def change(
    rule_id: RuleId,
    action: ActionName = None,
    error: Error = None,
    diag: Diag = None,
    max_attempt: Attempts = None,
    steps: Steps = None,
    release: Release = None,
    architecture: Architecture = None,
    share: Share = None,
    until: Until = None,
    description: Words = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change a rule; what is left out stays. It is on again if it was switched off for its expression."""
    rule = read_rule(action, error, diag, max_attempt, steps, release, architecture, share, until, description)
    if not rule:
        raise Usage("nothing to change", field="change", remedy="see: panda rules change --help")
    with connect(url, data) as client:
        _told(client.change_retry_rule(rule_id, rule), "changed", as_json)


@app.command()
def activate(rule_id: RuleId, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Let a rule act."""
    with connect(url, data) as client:
        _told(client.change_retry_rule(rule_id, {"is_active": True}), "active", as_json)


@app.command()
def passive(rule_id: RuleId, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Let a rule only note what it would have done."""
    with connect(url, data) as client:
        _told(client.change_retry_rule(rule_id, {"is_active": False}), "passive", as_json)


@app.command()
def remove(rule_id: RuleId, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Take a rule away; what it did stays in the log."""
    with connect(url, data) as client:
        _told(client.remove_retry_rule(rule_id), "removed", as_json)


@app.command()
def log(
    rule: Annotated[int | None, typer.Option(metavar="RULE", help="Of this rule.")] = None,
    task: Annotated[int | None, typer.Option(metavar="ID", help="About jobs of this task.")] = None,
    job: Annotated[int | None, typer.Option(metavar="ID", help="About this job.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Lines to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what rules did, newest first."""
    named = {"rule_id": rule, "jedi_task_id": task, "panda_id": job}
    with connect(url, data) as client:
        document = client.retry_log(limit=limit, **{name: value for name, value in named.items() if value is not None})
    if as_json:
        print_json(document)
        return
    columns = (">age", ">job", ">task", ">rule", "error", "action", "~what it did")
    rows = [
        (
            age(row["time"]),
            row["panda_id"],
            row["jedi_task_id"],
            row["rule_id"],
            error_words(row),
            row["action"],
            Text(plain(row["effect"]), style="" if row["has_acted"] else "dim"),
        )
        for row in document["deeds"]
    ]
    console().print(table(columns, rows) if rows else "nothing yet")
    footer(console(), document, len(rows), "more with --limit")


@app.command("try")
def try_rule(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="As of `panda rules add`.")] = "no_retry",
    error: Error = None,
    diag: Diag = None,
    release: Release = None,
    architecture: Architecture = None,
    share: Share = None,
    max_attempt: Attempts = None,
    days: Annotated[float, typer.Option(metavar="N", min=0.01, max=90, help="How far to look back.")] = 7,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say how many of the jobs that failed lately a rule would have met. Changes nothing."""
    rule = read_rule(action, error, diag, max_attempt, None, release, architecture, share, None, None)
    with connect(url, data) as client:
        document = client.try_retry_rule(rule, days)
    if as_json:
        print_json(document)
        return
    terminal = console()
    terminal.print(document["sentence"])
    columns = (">job", ">task", "queue", "user", "error", ">age", "~said")
    rows = [
        (
            row["panda_id"],
            row["jedi_task_id"],
            row["computing_site"],
            row["prod_user_name"],
            f"{row['source']}:{row['code']}",
            age(row["state_change_time"]),
            row["diag"],
        )
        for row in document["examples"]
    ]
    if rows:
        terminal.print(table(columns, rows))


@app.command()
def classes(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List whose fault which error is; errors of class system do not count against the failures of users."""
    with connect(url, data) as client:
        document = client.retry_rules()
    if as_json:
        print_json(document["classes"])
        return
    rows = [
        (
            row["class_id"],
            error_words(row),
            row["error_class"],
            "off" if row["disabled_reason"] else "active" if row["is_active"] else "passive",
            row["error_diag"],
            row["description"],
        )
        for row in document["classes"]
    ]
    console().print(table((">class", "error", "whose", "state", "~message", "~why"), rows) if rows else "no classes")


@app.command()
def faults(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Filters: computing_site=..., jedi_task_id=...")
    ] = None,
    hours: Annotated[float, typer.Option(metavar="N", help="Look back this far.")] = 24,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say whose fault the failed jobs of the last hours were, and what they cost."""
    with connect(url, data) as client:
        document = client.faults(**{**filters_of(filters), "hours": f"{hours:g}", "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal = console()
    rows = [(name, row["jobs"], f"{row['lost_core_s'] / 3600:.1f}") for name, row in document["classes"].items()]
    terminal.print(table(("whose", ">failed jobs", ">core-hours"), rows) if rows else "no failed jobs")
    errors = [
        (f"{row['component']}:{row['code']}", row["name"], row["error_class"], row["jobs"])
        for row in document["errors"]
    ]
    if errors:
        terminal.print(heading("errors"))
        terminal.print(table(("error", "name", "whose", ">failed jobs"), errors))
    footer(terminal, document, document["count"], "")


@app.command()
def classify(
    error: Annotated[str, typer.Argument(metavar="SOURCE:CODE", help="pilot:1305, trans:127.")],
    whose: Annotated[str, typer.Argument(metavar="CLASS", help="system, user or unknown.")],
    diag: Diag = None,
    description: Words = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say whose fault an error is."""
    entry = {**read_error(error), "error_class": whose, "error_diag": diag, "description": description}
    with connect(url, data) as client:
        row = client.add_error_class({name: value for name, value in entry.items() if value is not None})
    print_json(row) if as_json else console().print(f"class {row['class_id']} made: {error_words(row)} {plain(whose)}")


@app.command()
def declassify(
    class_id: Annotated[int, typer.Argument(metavar="CLASS", min=1, help="Number in `panda rules classes`.")],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say nothing of an error any more."""
    with connect(url, data) as client:
        row = client.remove_error_class(class_id)
    print_json(row) if as_json else console().print(f"class {class_id} removed")


def _state(row: dict[str, Any]) -> Text:
    if row["disabled_reason"]:
        return Text("off", style="red")
    return (
        Text("active", style="green")
        if row["acts"]
        else Text("expired" if row["is_active"] else "passive", style="dim")
    )


def _action_words(row: dict[str, Any]) -> str:
    attempts = (row["parameters"] or {}).get("maxAttempt")
    return f"{row['action']} {attempts}" if attempts else str(row["action"])


def _when(row: dict[str, Any]) -> str:
    named = {"error_diag": "says", "architecture": "architecture", "release": "release", "gshare": "share"}
    asked = [f"{word} {row[name]}" for name, word in named.items() if row[name]]
    if row["expiration_time"]:
        asked.append(f"until {row['expiration_time'][:16].replace('T', ' ')}")
    return ", ".join(asked)


def _told(row: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    state = "" if row["is_active"] else " (passive)"
    console().print(f"rule {row['rule_id']} {what}: {error_words(row)} {_action_words(row)}{state}")
