"""`panda notices`: where changes of incidents are told, and what was told of which incident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, heading, plain, print_json, table
from pandascope.errors import NotFound, Usage

if TYPE_CHECKING:
    from pandascope.client import Client

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="See and edit where changes of incidents are told (webhook, chat, mail), and what was told.",
)

_STATES = {"sent": "green", "waiting": "cyan", "sending": "cyan", "failed": "red", "lost": "red", "suppressed": "dim"}

Route = Annotated[str, typer.Argument(metavar="ROUTE", help="Its number or name.")]
Channel = Annotated[str | None, typer.Option(metavar="NAME", help="webhook, slack or mail.")]
Target = Annotated[
    str | None, typer.Option("--to", metavar="ADDRESS", help="Address of the webhook or chat, or a mail address.")
]
Match = Annotated[
    list[str] | None,
    typer.Option(
        "--match",
        metavar="NAME=VALUE",
        help="Only incidents with severity (at least), kind, queue, owner, assigned_to, verdict, class, component.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--change", metavar="NAME", help="opened, reopened, worse, resolved, ...; may be repeated; default those four."
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by", metavar="NAME", help="One message for equal kind, severity, computing_site, verdict, ..."
    ),
]
Wait = Annotated[int | None, typer.Option("--wait", metavar="S", help="Seconds that a change waits for others.")]
PerHour = Annotated[int | None, typer.Option("--per-hour", metavar="N", help="Messages; what comes beyond is joined.")]
Secret = Annotated[
    str | None, typer.Option(metavar="NAME", help="Key of [notices.secrets] in the settings; the secret stays there.")
]
Position = Annotated[int | None, typer.Option(metavar="N", help="Routes are asked in this order.")]
Final = Annotated[
    bool | None, typer.Option("--final/--not-final", help="Later routes hear nothing of what this one tells.")
]
Repeat = Annotated[
    bool | None,
    typer.Option("--may-repeat/--once", help="Send again what may have arrived; the receiver drops repeats."),
]


@app.callback()
def _notices() -> None:
    """See and edit where changes of incidents are told, and what was told."""


@app.command()
def routes(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the routes in the order they are asked. Says how each goes."""
    with connect(url, data) as client:
        document = client.notice_routes()
    if as_json:
        print_json(document)
        return
    terminal, found = console(), document["routes"]
    if not found:
        terminal.print("nobody is told anything: there is no route")
        terminal.print(Text("next: panda notices add NAME --channel mail --to shift@example.org", style="dim"))
        return
    columns = (">route", "name", "state", "channel", ">waiting", ">failed", ">last sent", "~to", "~tells of")
    rows = [
        (
            row["route_id"],
            row["name"],
            Text("on", style="green") if row["is_active"] else Text("off", style="dim"),
            row["channel"],
            row["waiting"],
            Text(str(row["failed"]), style="red" if row["failed"] else ""),
            age(row["sent_time"]),
            row["target"],
            _tells(row),
        )
        for row in found
    ]
    terminal.print(table(columns, rows))
    errors = [row for row in found if row["last_error"]]
    if errors:
        terminal.print(heading("last errors"))
        terminal.print(
            table((">route", "name", "~error"), [(r["route_id"], r["name"], r["last_error"]) for r in errors])
        )


@app.command("list")
def list_notices(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Filters: incident_id=17, route=NAME, state=failed, change=opened."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Notices to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what was told where, newest first. It was sent, waits, failed, is lost, or was held back, and why."""
    with connect(url, data) as client:
        document = client.notices(**{"limit": limit, **filters_of(words), "strict": 1})
    if as_json:
        print_json(document)
        return
    columns = (">notice", ">age", "route", "incident", "change", "state", ">tries", "~answer", "~what")
    rows = [
        (
            row["notice_id"],
            age(row["created_time"]),
            row["route"] or f"({row['route_id']})",
            row["incident_id"] or "a test",
            row["change"],
            Text(plain(row["state"]), style=_STATES.get(row["state"], "")),
            row["attempts"],
            row["reason"] or row["last_error"] or row["answer"],
            row["title"],
        )
        for row in document["notices"]
    ]
    console().print(table(columns, rows) if rows else "no notices" + (" match" if words else ""))
    footer(console(), document, len(rows), "more with --limit")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the route is called.")],
    channel: Channel = None,
    to: Target = None,
    match: Match = None,
    change: Changes = None,
    group_by: Groups = None,
    wait: Wait = None,
    per_hour: PerHour = None,
    secret: Secret = None,
    position: Position = None,
    final: Final = None,
    may_repeat: Repeat = None,
    off: Annotated[bool, typer.Option("--off", help="Tell nothing yet.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a route. `panda notices test ROUTE` sends one message at once and says what came of it."""
    if channel is None:
        raise Usage("how are they told?", field="--channel", remedy="webhook, slack or mail, and --to ADDRESS")
    route = _said(
        *(None, channel, to, match, change, group_by, wait, per_hour, secret, position, final, may_repeat),
        is_active=False if off else None,
    )
    with connect(url, data) as client:
        row = client.add_notice_route({**route, "name": name})
    _told(row, "made", as_json, f"next: panda notices test {row['route_id']}")


@app.command()
def change(
    route: Route,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    channel: Channel = None,
    to: Target = None,
    match: Match = None,
    change: Changes = None,
    group_by: Groups = None,
    wait: Wait = None,
    per_hour: PerHour = None,
    secret: Secret = None,
    position: Position = None,
    final: Final = None,
    may_repeat: Repeat = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help="Let it tell, or be silent.")] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change a route; what is left out stays. `--match ""` takes all conditions away, as `--change ""` and `--group-by ""`."""
    changes = _said(
        *(name, channel, to, match, change, group_by, wait, per_hour, secret, position, final, may_repeat),
        is_active=active,
    )
    if not changes:
        raise Usage("nothing to change", field="change", remedy="see: panda notices change --help")
    with connect(url, data) as client:
        present = _route(client, route)
        row = client.change_notice_route(present["route_id"], present["version"], changes)
    _told(row, "changed", as_json)


@app.command()
def remove(route: Route, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Remove a route; what waits for it is not sent."""
    with connect(url, data) as client:
        row = client.remove_notice_route(_route(client, route)["route_id"])
    _told(row, "removed", as_json)


@app.command()
def test(route: Route, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Send one message to a route at once. Says what its receiver answered; exit code 1 when it did not take it."""
    with connect(url, data) as client:
        present = _route(client, route)
        answer = client.test_notice_route(present["route_id"])
    if as_json:
        print_json(answer)
    else:
        status = f" {answer['status']}" if answer["status"] else ""
        said = f": {plain(answer['answer'])}" if answer["answer"] else ""
        how = "taken" if answer["is_taken"] else plain(answer["known"]).replace("_", " ")
        style = "green" if answer["is_taken"] else "red"
        line = Text.assemble(f"{plain(present['name'])}: ", (how, style), f"{status} in {answer['ms']} ms{said}")
        console().print(line, soft_wrap=True)
    if not answer["is_taken"]:
        raise typer.Exit(1)


def _route(client: Client, word: str) -> dict[str, Any]:
    """The route of this number or name. Raises NotFound."""
    for row in client.notice_routes()["routes"]:
        if word in (str(row["route_id"]), row["name"]):
            return dict(row)
    raise NotFound(f"there is no route {word}", field="ROUTE", remedy="see `panda notices routes`")


def _said(
    name: str | None,
    channel: str | None,
    to: str | None,
    match: list[str] | None,
    changes: list[str] | None,
    group_by: list[str] | None,
    wait: int | None,
    per_hour: int | None,
    secret: str | None,
    position: int | None,
    final: bool | None,
    may_repeat: bool | None,
    *,
    is_active: bool | None,
) -> dict[str, Any]:
    """What was said of a route, under the names of the interface."""
    said: dict[str, Any] = {
        "name": name,
        "channel": channel,
        "target": to,
        "matcher": filters_of([word for word in match if word]) if match is not None else None,
        "changes": [word for word in changes if word] if changes is not None else None,
        "group_by": [word for word in group_by if word] if group_by is not None else None,
        "group_wait_s": wait,
        "max_per_hour": per_hour,
        "secret_name": secret,
        "position": position,
        "is_final": final,
        "options": {"may_repeat": may_repeat} if may_repeat is not None else None,
        "is_active": is_active,
    }
    return {key: value for key, value in said.items() if value is not None}


def _tells(row: Mapping[str, Any]) -> str:
    changes = ", ".join(plain(change) for change in row["changes"]) or "opened, reopened, worse, resolved"
    about = " ".join(f"{plain(name)}={plain(value)}" for name, value in row["matcher"].items())
    return f"{changes}{f' of {about}' if about else ' of all'}{' (final)' if row['is_final'] else ''}"


def _told(row: Mapping[str, Any], what: str, as_json: bool, following: str = "") -> None:
    if as_json:
        print_json(row)
        return
    where = f"{plain(row['channel'])} {plain(row['target'])}"
    off = "" if row["is_active"] else " (off)"
    console().print(
        Text(f"route {row['route_id']} {plain(row['name'])} {what}{off}: {where}, {_tells(row)}"), soft_wrap=True
    )
    if following:
        console().print(Text(following, style="dim"))
