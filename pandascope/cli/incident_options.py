"""The options of `panda incidents`, with their words for people, and what must not be said together. Knows no server."""

from __future__ import annotations

from typing import Annotated

import typer

from pandascope.errors import Usage

_Ids = list[str] | None

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID|NAME=VALUE",
        help="One incident, or filters: severity=error, verdict=site, class=..., candidates=1",
    ),
]
Acknowledge = Annotated[_Ids, typer.Option("--ack", metavar="ID", help="Take it; may be repeated.")]
Assign = Annotated[_Ids, typer.Option("--assign", metavar="ID=NAME", help="Ask NAME to look (ID= nobody).")]
Silence = Annotated[
    _Ids, typer.Option("--silence", metavar="ID", help="Tell nobody of it, with --until; may be repeated.")
]
Resolve = Annotated[_Ids, typer.Option("--resolve", metavar="ID", help="Say that it is over.")]
Ending = Annotated[
    str, typer.Option("--as", metavar="WORD", help="Of --resolve: fixed, not_a_problem, duplicate or moved.")
]
Reopen = Annotated[_Ids, typer.Option("--reopen", metavar="ID", help="Say that it is not over, or give it back.")]
Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; alone with an ID: a note for those who come.")]
Hold = Annotated[_Ids, typer.Option("--hold", metavar="ID", help="Let no automation end or change it.")]
Release = Annotated[_Ids, typer.Option("--release", metavar="ID", help="Let automation act on it again.")]
Rate = Annotated[
    _Ids, typer.Option("--rate", metavar="ID=LEVEL", help="Say how severe it is: critical, error, warning.")
]
Link = Annotated[_Ids, typer.Option("--link", metavar="ID=URL", help="Add an address where more is said.")]
Merge = Annotated[_Ids, typer.Option("--merge", metavar="A=B", help="Put all of A into B, now and from now on.")]
Split = Annotated[
    str | None, typer.Option("--split", metavar="ID", help="Make a part an incident of its own, with --by.")
]
By = Annotated[
    str | None, typer.Option("--by", metavar="DIM=VALUE", help="Of --split: computing_site=CERN, jedi_task_id=...")
]
Unlink = Annotated[_Ids, typer.Option("--undo-link", metavar="LINK", help="Take a merge or split back, by its number.")]
Title = Annotated[
    str | None,
    typer.Option("--open", metavar="TITLE", help="Open one by hand; --severity, --queue, --task, --comment."),
]
Severity = Annotated[str, typer.Option(metavar="LEVEL", help="Of --open.")]
Queue = Annotated[str, typer.Option(metavar="NAME", help="Of --open: the queue it is about.")]
Task = Annotated[str | None, typer.Option(metavar="ID", help="Of --open: the task it is about.")]
Compare = Annotated[str | None, typer.Option("--compare", metavar="A=B", help="Say what tells two incidents apart.")]
Limit = Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Incidents to show.")]


def is_one(words: list[str] | None) -> bool:
    """Do the words name one incident, by its number or its page, and not a list?"""
    return words is not None and len(words) == 1 and ("=" not in words[0] or words[0].startswith("/incident/"))


def wanted_changes(
    changes: dict[str, list[str] | None], words: list[str] | None, comment: str | None
) -> list[tuple[str, str]]:
    """What is to be done to which incident, in the order of `changes`. Raises Usage for a list beside a change."""
    wanted = [(name, word) for name, given in changes.items() for word in given or []]
    if comment and not wanted:
        if not words or not is_one(words):
            raise Usage("a comment of what?", field="--comment", remedy="name the incident, or add --ack ID or another")
        return [("comment", words[0])]
    if wanted and words:
        raise Usage("either a list or a change", field="ID", remedy="name the incident with the option: --ack ID")
    return wanted


def check_pairs(
    *, until: str | None, silence: _Ids, by: str | None, split: str | None, ending: str, resolve: _Ids
) -> None:
    """Raises Usage for an option without the one it belongs to, under the name of the one that was left alone."""
    pairs = (
        ("--silence", bool(silence), "--until", until is not None),
        ("--split", bool(split), "--by", by is not None),
    )
    for first, has_first, second, has_second in pairs:
        if has_first != has_second:
            given, other = (first, second) if has_first else (second, first)
            raise Usage("these options go together", field=given, remedy=f"{given} with {other}")
    if ending and not resolve:
        raise Usage("these options go together", field="--as", remedy="--as with --resolve")
