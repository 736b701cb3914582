"""The options of `panda act`, with their words for people. Knows no server and no action's meaning."""

from __future__ import annotations

from typing import Annotated

import typer

Action = Annotated[
    str | None,
    typer.Argument(
        metavar="ACTION",
        help="On incidents: acknowledge, assign, silence, resolve, reopen. On jobs: kill. On tasks: retry. "
        "On queues: drain, undrain, online, test, offline.",
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID|NAME|NAME=VALUE", help="What it is done to, or filters of the list of such things."),
]
Incidents = Annotated[
    list[str] | None,
    typer.Option("--incident", metavar="ID", help="The jobs, tasks or queues of this incident; may be repeated."),
]
Tests = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=1000, help="Of a queue: until N test jobs have finished there."),
]
Who = Annotated[str | None, typer.Option(metavar="NAME", help="Of assign: whose they are to be.")]
Again = Annotated[bool, typer.Option("--again", help="Of kill: give the input of the jobs to new ones.")]
AcceptEnded = Annotated[
    bool, typer.Option("--accept-ended", help="Of kill: leave out jobs that end by themselves meanwhile.")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who come after.")]
Preview = Annotated[bool, typer.Option("--preview", help="Only say what it would do, and the token for it.")]
Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="TOKEN", help="Do what a preview showed; without ACTION.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing (scripts).")]
