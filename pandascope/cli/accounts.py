"""`panda accounts`: what users and working groups run, may and used, and what operators decide about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import age, console, facts, footer, heading, number, plain, print_json, state, table
from pandascope.errors import Usage

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List users and groups: what they run, may and used; decide about them.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user, or with --group the working group.")]
IsGroup = Annotated[bool, typer.Option("--group", help="NAME is a working group.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who ask.")]
Until = Annotated[str, typer.Option(metavar="WHEN", help="A time (2026-12-31 or ISO 8601, UTC), 12h, 3d, or forever.")]
_USUAL = "usual"
_ANSWERS = {"yes": True, "no": False}
_FOREVER_YEAR = 9999


@app.callback()
def accounts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Accounts to show.")] = 40,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List users and groups, the busiest first; or one of the commands below about one of them."""
    if context.invoked_subcommand:
        return
    with connect(url, data) as client:
        document = client.users(limit=limit)
    if as_json:
        print_json(document)
        return
    columns = (
        "kind",
        "name",
        ">running",
        ">limit",
        ">queued",
        ">held",
        ">tasks",
        ">CPU h 1 d",
        ">7 d",
        ">30 d",
        "~state",
    )
    rows = [
        (
            row["kind"],
            row["name"],
            row["running_jobs"],
            row["limits"]["max_running_jobs"],
            row["queued_jobs"],
            row["held_jobs"],
            row["active_tasks"],
            *(f"{row[name]:.1f}" for name in ("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d")),
            _standing(row["limits"]),
        )
        for row in document["users"]
    ]
    terminal = console()
    terminal.print(table(columns, rows))
    footer(terminal, document, len(rows), "more with --limit")


@app.command()
def show(name: Name, group: IsGroup = False, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show one user or group: what it runs, its limits and who decided them, its quotas, its tasks."""
    with connect(url, data) as client:
        document = client.user(name, kind=_kind(group))
    if as_json:
        print_json(document)
        return
    terminal, row = console(), document["user"]
    terminal.print(Text(f"{row['kind']} {plain(row['name'])}  {_standing(row['limits'])}"))
    terminal.print(facts({**_load(row), **_limits(row["limits"])}))
    decided = document["decided"]
    if decided:
        terminal.print(
            Text(f"decided by {plain(decided['modified_by'])} {age(decided['modification_time'])} ago", style="dim")
        )
    _quotas(terminal, document["quotas"])
    if document["tasks"]:
        terminal.print(heading("tasks, newest first"))
        rows = [
            (task["jedi_task_id"], state(task["status"]), task["n_jobs"], task["n_failed"], task["task_name"])
            for task in document["tasks"]
        ]
        terminal.print(table((">task", "status", ">jobs", ">failed", "~name"), rows))


@app.command()
def usage(name: Name, group: IsGroup = False, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show what a user or group used in the last thirty days, by day and by queue."""
    with connect(url, data) as client:
        document = client.user(name, kind=_kind(group))
    if as_json:
        print_json({name: document[name] for name in ("days", "queues", "quotas")})
        return
    terminal = console()
    measures = (">CPU h", ">core h", ">normalised", ">failed core h", ">finished", ">failed", ">cancelled")
    days = [row for row in document["days"] if row["wall_core_hours"] or row["jobs_cancelled"] or row["jobs_failed"]]
    terminal.print(table(("day", *measures), [(row["day"], *_measured(row)) for row in days]))
    terminal.print(heading("by queue"))
    queues = [(row["computing_site"], row["prod_source_label"], *_measured(row)) for row in document["queues"]]
    terminal.print(table(("queue", "label", *measures), queues))
    _quotas(terminal, document["quotas"])


@app.command(name="set")
def set_(
    name: Name,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE",
            help="max_running_jobs, max_running_cores, max_active_tasks, cpu_hours_1d, cpu_hours_7d, cpu_hours_30d, "
            "quota_mode (lower, hold, reject), jobs_per_priority_point, is_privileged (yes, no; of groups); "
            "VALUE `usual` gives it back to the settings.",
        ),
    ],
    group: IsGroup = False,
    reason: Reason = "",
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set limits of a user or group."""
    changes = dict(_setting(word) for word in values)
    _decide(name, group, changes | ({"reason": reason} if reason else {}), url, data, as_json)


@app.command()
def ban(
    name: Name,
    reason: Reason,
    until: Until = "forever",
    group: IsGroup = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Refuse submissions of a user or group and hold its waiting jobs, until a time."""
    _decide(name, group, {"banned_until": _time(until), "reason": reason}, url, data, as_json)


@app.command()
def unban(name: Name, group: IsGroup = False, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Take a ban back; held jobs go on with the next round."""
    _decide(name, group, {"banned_until": None, "reason": None}, url, data, as_json)


@app.command()
def boost(
    name: Name,
    priority: Annotated[int, typer.Argument(metavar="PRIORITY", help="Of all its jobs that come from now on.")],
    reason: Reason,
    until: Until,
    group: IsGroup = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give the jobs of a user or group a fixed priority, until a time."""
    end = _time(until)
    changes = {"boost_priority": priority, "boost_until": "9999-12-31T00:00:00Z" if end == "forever" else end}
    _decide(name, group, {**changes, "reason": reason}, url, data, as_json)


def _decide(name: str, group: bool, changes: dict[str, Any], url: Any, data: Any, as_json: bool) -> None:
    with connect(url, data) as client:
        row = client.set_account(name, kind=_kind(group), **changes)
    if as_json:
        print_json(row)
        return
    left_out = ("kind", "name", "modification_time", "modified_by")
    told = {key: _decided(key, value) for key, value in row.items() if key not in left_out}
    decided = {key: words for key, words in told.items() if words}
    console().print(
        Text(f"{row['kind']} {plain(row['name'])}{'' if decided else ': as the settings say for everybody'}")
    )
    console().print(facts(decided))


def _decided(field: str, value: Any) -> str:
    """A value that was decided, as people read it; empty when nothing was."""
    if value is None or value is False:
        return ""
    if field in ("banned_until", "boost_until"):
        return _until(value).removeprefix("until ")
    return "yes" if value is True else str(value)


def _kind(group: bool) -> str:
    return "group" if group else "user"


def _setting(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise Usage(f"'{word}' sets nothing", field="FIELD=VALUE", remedy="write max_running_jobs=100")
    if value == _USUAL:
        return name, None
    if value in _ANSWERS:
        return name, _ANSWERS[value]
    digits = value.removeprefix("-")
    return name, int(value) if digits.isascii() and digits.isdigit() and len(digits) < 20 else value


def _time(text: str) -> str:
    """A time of the server's interface: `forever`, or ISO 8601 with its zone. Raises Usage."""
    units = {"h": 3600, "d": 86400, "w": 7 * 86400}
    if text == "forever":
        return text
    try:
        if text[-1:] in units and text[:-1].isdigit():
            return (datetime.now(UTC) + timedelta(seconds=int(text[:-1][:9]) * units[text[-1]])).isoformat()
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Usage(f"'{text}' is no time", field="--until", remedy="2026-12-31, 12h, 3d or forever") from error
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).isoformat()


def _standing(limits: dict[str, Any]) -> str:
    """Ban, boost or quota mode in a few words."""
    if limits["is_banned"]:
        return f"banned {_until(limits['banned_until'])}: {plain(limits['reason'])}"
    if limits["boost_priority"] is not None:
        return f"priority {limits['boost_priority']} {_until(limits['boost_until'])}"
    return ""


def _until(time: str) -> str:
    end = datetime.fromisoformat(time)
    return "for good" if end.year >= _FOREVER_YEAR else f"until {end:%Y-%m-%d %H:%M} UTC"


def _load(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "running": f"{number(row['running_jobs'], 'job')} on {number(row['running_cores'], 'core')}",
        "queued": f"{number(row['queued_jobs'], 'job')}, {row['held_jobs']:,} of them held by a limit",
        "tasks under way": str(row["active_tasks"]),
    }


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    quotas = [
        f"{limits[f'cpu_hours_{days}d']} CPU hours in {days} d" for days in (1, 7, 30) if limits[f"cpu_hours_{days}d"]
    ]
    return {
        "limits": f"{limits['max_running_jobs']:,} running jobs, {limits['max_running_cores']:,} cores, "
        f"{limits['max_active_tasks']:,} tasks",
        "quotas": f"{', '.join(quotas)}; beyond: {limits['quota_mode']}" if quotas else "",
        "production role": "its work comes before that of all users" if limits["is_privileged"] else "",
    }


def _quotas(terminal: Console, quotas: list[dict[str, Any]]) -> None:
    for quota in quotas:
        end = f", used up {_until(quota['free_again'])}" if quota["free_again"] else ""
        terminal.print(Text(f"{quota['used']:.1f} of {quota['allowed']} CPU hours in {quota['days']} d{end}"))


def _measured(row: dict[str, Any]) -> tuple[Any, ...]:
    hours = ("cpu_hours", "wall_core_hours", "power_hours", "failed_core_hours")
    return (*(f"{row[name]:.1f}" for name in hours), row["jobs_finished"], row["jobs_failed"], row["jobs_cancelled"])
