"""`panda token create`: an access token from the embedded issuer, printed to stdout and nothing else."""

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
    from core.database.embedded import EmbeddedPostgres
    from pandascope.supervisor.access import issue_token

    settings = Settings.load(data)
    if not settings.data.is_dir():
        typer.echo(f"warning: nothing was ever up in {settings.data}; no other server takes this token", err=True)
    postgres = EmbeddedPostgres(settings.data)
    url = settings.database_url or (postgres.url if postgres.pid is not None else "")
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
