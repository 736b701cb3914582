"""`panda token`: access tokens from the embedded issuer, made here or granted to a program that shows a code."""

from __future__ import annotations

from typing import Annotated

import typer

from core.configuration import Settings
from pandascope.cli.options import AsJson, Data, print_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Make access tokens.")


@app.callback()
def _token() -> None:
    """Make access tokens."""


@app.command()
def create(
    user: Annotated[str, typer.Option(metavar="NAME", help="Whom the token speaks for.")],
    vo: Annotated[str, typer.Option(metavar="VO", help="Virtual organisation of that user.")],
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="production, pilot, operator or admin; may be repeated. None: a plain user."),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help='Name of the person ("Jane Doe"): owner of jobs and tasks.')
    ] = "",
    nickname: Annotated[
        str, typer.Option(metavar="NAME", help="Begins the names of output datasets, after `user.`; default: the user.")
    ] = "",
    days: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="Days the token is valid; default as configured.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print a token (a JWT). Whoever holds it acts as that user until it expires: keep it unreadable to others."""
    from pandascope.supervisor.access import issue_token

    settings = Settings.load(data)
    if not settings.data.is_dir():
        typer.echo(f"warning: nothing was ever up in {settings.data}; no other server takes this token", err=True)
    url = _database_url(settings)
    lifetime_s = int(days * 86400) if days is not None else settings.token_lifetime_s
    roles = list(dict.fromkeys(role or []))
    token = issue_token(
        settings, url, user=user, vo=vo, roles=roles, lifetime_s=lifetime_s, name=name, nickname=nickname
    )
    if as_json:
        known = {"user": user, "owner_name": token.user_name, "vo": vo, "roles": roles, "lifetime_s": lifetime_s}
        print_json({"token": token.text, **known})
    else:
        typer.echo(token.text)


@app.command()
def approve(
    code: Annotated[str, typer.Argument(metavar="CODE", help="What the program shows: XXXX-XXXX.")],
    user: Annotated[str, typer.Option(metavar="NAME", help="Whom the program then acts for.")],
    name: Annotated[str, typer.Option(metavar="NAME", help='Name of the person ("Jane Doe").')] = "",
    nickname: Annotated[str, typer.Option(metavar="NAME", help="Begins the names of output datasets.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Confirm the code that a program shows. For who runs the server, in the place of the page /auth/device."""
    from core.errors import Unavailable
    from pandascope.supervisor.access import approve_code

    settings = Settings.load(data)
    url = _database_url(settings)
    if not url:
        raise Unavailable(f"nothing is up in {settings.data}", field="data", remedy="start it with `panda up`")
    asked = approve_code(settings, url, code, user=user, name=name, nickname=nickname)
    if as_json:
        print_json({"user": user, "vo": asked.vo, "role": asked.role, "client_id": asked.client_id})
    else:
        typer.echo(f"confirmed: {user} of {asked.vo}" + (f" with the role {asked.role}" if asked.role else ""))


def _database_url(settings: Settings) -> str:
    """The database that is up; empty when none is."""
    from core.database.embedded import EmbeddedPostgres

    postgres = EmbeddedPostgres(settings.data)
    return settings.database_url or (postgres.url if postgres.pid is not None else "")
