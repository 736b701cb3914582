"""`panda act`: an action on incidents, jobs, tasks or queues, shown before it is done and confirmed by its count."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.addresses import Page, parse_address
from pandascope.cli import act_options as options
from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.deeds import tell_deed
from pandascope.cli.rendering import console, facts, number, plain, print_json
from pandascope.cli.until import Until, clock_words, silence_end
from pandascope.errors import ClientError, Refused, Usage

if TYPE_CHECKING:
    from pandascope.client import Client

KINDS = {
    **dict.fromkeys(("acknowledge", "assign", "silence", "resolve", "reopen"), "incident"),
    "kill": "job",
    "retry": "task",
    **dict.fromkeys(("drain", "undrain", "online", "test", "offline"), "queue"),
}
"""What each action is done to, as the server has it (logger/deeds/table.py)."""

_SHOWN_TARGETS = 12
_OUTDATED = "preview_outdated"
_TO_BE_SEEN = ("stranded", "refused", "still_failing", "of_others", "open_incidents", "unknown")
"""Consequences that people might not have thought of."""


@dataclass
class _Chosen:
    """What was named: ids of the action's own kind, incidents whose jobs, tasks or queues are meant, filters."""

    ids: list[Any] = field(default_factory=list)
    incidents: list[int] = field(default_factory=list)
    filters: dict[str, str] = field(default_factory=dict)


def command(
    action: options.Action = None,
    words: options.Words = None,
    incidents: options.Incidents = None,
    until: Until = None,
    tests: options.Tests = None,
    who: options.Who = None,
    again: options.Again = False,
    accept_ended: options.AcceptEnded = False,
    reason: options.Reason = "",
    preview: options.Preview = False,
    confirm: options.Confirm = None,
    yes: options.Yes = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what an action would do, with counts, and do it when the count is typed.

    The set is frozen: if it changes before it is confirmed nothing is done, and the new set is shown. `panda undo` takes
    most actions back. Exit code 1 when something was refused or nobody confirmed.
    """
    if confirm is not None:
        if action or preview:
            raise Usage("the token says what is done", field="--confirm", remedy="panda act --confirm TOKEN, no more")
        with connect(url, data) as client:
            _confirm(client, confirm, reason, as_json)
        return
    if action is None:
        raise Usage("which action?", field="ACTION", remedy="one of " + ", ".join(KINDS))
    if as_json and not (preview or yes):
        raise Usage("a question has no JSON", field="--json", remedy="add --preview, or --yes to ask nothing")
    chosen = _chosen(action, words or [], incidents or [])
    parameters = _parameters(action, until, tests, who, again)
    with connect(url, data) as client:
        made = client.preview_action(
            action,
            **{f"{KINDS[action]}s": chosen.ids, **({"incidents": chosen.incidents} if chosen.incidents else {})},
            filter=chosen.filters,
            parameters=parameters,
            reason=reason,
            accept_ended=accept_ended,
        )
        if preview:
            print_json(made) if as_json else _offer(console(), made)
        elif yes:
            _carry_out(client, made, as_json)
        else:
            _ask(client, made)


def _chosen(action: str, words: list[str], incidents: list[str]) -> _Chosen:
    """What the words mean. Raises Usage for those that choose nothing of this kind."""
    if action not in KINDS:
        raise Usage(f"there is no action '{action}'", field="ACTION", remedy="one of " + ", ".join(KINDS))
    kind, chosen = KINDS[action], _Chosen(incidents=[number_of(word, "incident") for word in incidents])
    for word in words:
        is_address = word.startswith(("/", "http://", "https://"))
        address = parse_address(word) if is_address else None
        if address is not None and address.page == Page.INCIDENT and address.number is not None:
            chosen.incidents.append(address.number)
        elif (address is not None and address.number is None) or (address is None and "=" in word):
            chosen.filters |= filters_of([word])
        else:
            chosen.ids.append(word if kind == "queue" else number_of(word, kind))
    if kind == "incident":
        chosen.ids, chosen.incidents = [*chosen.ids, *chosen.incidents], []
    if not (chosen.ids or chosen.incidents or chosen.filters):
        what = "names" if kind == "queue" else "numbers"
        other = "" if kind == "incident" else ", or --incident ID"
        raise Usage(f"{action} which {kind}s?", field="ID", remedy=f"{what} of {kind}s, filters (NAME=VALUE){other}")
    return chosen


def _parameters(action: str, until: str | None, tests: int | None, who: str | None, again: bool) -> dict[str, Any]:
    """What was said beside the targets, under the names of the interface. Raises Usage for what the action does not take."""
    kind = KINDS[action]
    if who is not None and action != "assign":
        raise Usage(f"{action} is for nobody", field="--who", remedy="--who goes with assign")
    if again and action != "kill":
        raise Usage(f"{action} ends no job", field="--again", remedy="--again goes with kill")
    if tests is not None and (until is not None or kind != "queue"):
        raise Usage("one end, of a queue", field="--tests", remedy="--tests N goes with actions on queues, alone")
    if action == "silence":
        until_kind, end = silence_end(until)
        return {"until_kind": until_kind, "until": end}
    if until is not None and kind != "queue":
        raise Usage(f"{action} has no end", field="--until", remedy="--until goes with silence and actions on queues")
    if action == "assign":
        if who is None:
            raise Usage("to whom?", field="--who", remedy='--who NAME; --who "" for nobody any more')
        return {"who": who}
    if action == "kill":
        return {"input": "again"} if again else {}
    if tests is not None:
        return {"until": f"tests:{tests}"}
    if until is None and action == "drain":
        remedy = "--until 18:00 (UTC), 2h, an ISO time or never, or --tests 20: until so many test jobs have finished"
        raise Usage("a drained queue is given back when?", field="--until", remedy=remedy)
    return {"until": until} if until is not None else {}


def _ask(client: Client, made: dict[str, Any]) -> None:
    """Show a preview and do it when its count is typed; when the set changed meanwhile, the same of the new set."""
    terminal = console()
    while True:
        show_preview(terminal, made)
        wanted = made["target_count"] - made["refused_count"]
        if _typed(wanted) != str(wanted):
            remedy = f"until {clock_words(made['expires'])} it can still be done: panda act --confirm {made['token']}"
            raise ClientError(f"that is not {wanted}: nothing was done", remedy=remedy)
        try:
            _tell(client.confirm_action(made["token"]), as_json=False)
            return
        except Refused as error:
            made = _fresh(error)
            _tell_difference(terminal, error)


def _typed(wanted: int) -> str:
    try:
        return input(f"type {wanted} to go on: ").strip().replace(",", "")
    except EOFError:
        typer.echo()
        remedy = "scripts say --yes, or --preview and later --confirm TOKEN"
        raise ClientError("nobody answered: nothing was done", remedy=remedy) from None


def _confirm(client: Client, token: str, reason: str, as_json: bool) -> None:
    """Do what a preview showed; when the set changed meanwhile, show what there is now and how to do that."""
    try:
        deed = client.confirm_action(token, reason)
    except Refused as error:
        made = _fresh(error)
        if as_json:
            print_json(error.problem)
        else:
            _tell_difference(console(), error)
            _offer(console(), made)
        raise typer.Exit(1) from None
    _tell(deed, as_json)


def _carry_out(client: Client, made: dict[str, Any], as_json: bool) -> None:
    """Do at once what a preview shows; a set that changed within that moment is a refusal like any other."""
    if not as_json:
        show_preview(console(), made)
    try:
        deed = client.confirm_action(made["token"])
    except Refused as error:
        if error.code != _OUTDATED:
            raise
        raise ClientError(f"nothing was done: {plain(error.detail)}", remedy="run it again, or look first") from error
    _tell(deed, as_json)


def _fresh(error: Refused) -> dict[str, Any]:
    """The preview that came with a refusal because the set changed; any other refusal is raised."""
    made = error.problem.get("preview") if error.code == _OUTDATED else None
    if not isinstance(made, dict):
        raise error
    return made


def _tell_difference(terminal: Console, error: Refused) -> None:
    changes = ", ".join(plain(words) for words in error.problem.get("difference") or [])
    terminal.print(Text(f"\nnothing was done: the set changed meanwhile: {changes}", style="yellow"), soft_wrap=True)


def _tell(deed: dict[str, Any], as_json: bool) -> None:
    print_json(deed) if as_json else tell_deed(console(), deed)
    if deed["state"] in ("failed", "partly"):
        raise typer.Exit(1)


def _offer(terminal: Console, made: Mapping[str, Any]) -> None:
    """A preview, and the command that does it."""
    show_preview(terminal, made)
    terminal.print(
        Text(f"do it until {clock_words(made['expires'])}: panda act --confirm {shlex.quote(made['token'])}"),
        soft_wrap=True,
    )


def show_preview(terminal: Console, made: Mapping[str, Any]) -> None:
    """What an action would do: a sentence for each consequence, on what, and what takes it back."""
    count = made["target_count"] - made["refused_count"]
    left = f", {made['refused_count']:,} left alone" if made["refused_count"] else ""
    terminal.print(Text(f"{plain(made['action'])} {number(count, made['target_kind'])}{left}", style="bold"))
    for one in made["consequences"]:
        style = "yellow" if one["what"] in _TO_BE_SEEN else ""
        terminal.print(Text(f"  {plain(one['sentence'])}", style=style), soft_wrap=True)
    targets = [row["target"] for row in made["targets"] if not row["refusal"]]
    more = count - len(targets[:_SHOWN_TARGETS])
    named = ", ".join(plain(target) for target in targets[:_SHOWN_TARGETS])
    terminal.print(
        facts(
            {
                f"  {made['target_kind']}s": f"{named}{f' and {more:,} more' if more else ''}",
                "  how": _how(made["parameters"]),
                "  to take it back": made["inverse"] or f"nothing does: {made['no_inverse']}",
            }
        )
    )


def _how(parameters: Mapping[str, Any]) -> str:
    """Parameters that the sentences leave unsaid."""
    if parameters.get("input") == "again":
        return "new jobs get the input"
    return f"for {plain(parameters['who'])}" if parameters.get("who") else ""
