"""The options by which `panda rules` describes a rule, and what they mean in the interface. Knows no server."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from pandascope.errors import Usage

RuleId = Annotated[int, typer.Argument(metavar="RULE", min=1, help="Number of the rule.")]
Error = Annotated[
    str | None,
    typer.Option("--error", metavar="SOURCE:CODE", help="pilot:1212, trans:127; pilot: or :1212 leave one open."),
]
Diag = Annotated[
    str | None, typer.Option("--diag", metavar="REGEX", help="Matched from the start of the message by PostgreSQL.")
]
ActionName = Annotated[str | None, typer.Option("--action", metavar="NAME", help="What to do.")]
Attempts = Annotated[
    int | None, typer.Option("--max-attempt", metavar="N", min=1, help="Of limit_retry: attempts in all.")
]
Steps = Annotated[
    str | None, typer.Option("--steps", metavar="A,B,C", help="Of reduce_input_per_job: attempts for 1/2, 1/4 and 1.")
]
Release = Annotated[str | None, typer.Option(metavar="NAME", help="Only this release.")]
Architecture = Annotated[str | None, typer.Option(metavar="NAME", help="Only this architecture.")]
Share = Annotated[str | None, typer.Option("--share", metavar="NAME", help="Only jobs of this global share.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="ISO time at which it ends; `never` takes that away.")]
Words = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="Why it is there.")]


def error_words(row: dict[str, Any]) -> str:
    """`pilot:1212`; a star stands for any."""
    return f"{row['error_source'] or '*'}:{row['error_code'] or '*'}"


_CODE = re.compile(r"-?[0-9]{1,18}")
_STEP = re.compile(r"[0-9]{1,9}")


def read_error(text: str) -> dict[str, Any]:
    """The error that `pilot:1212` means. Raises Usage."""
    source, colon, code = text.partition(":")
    if not colon or (code and not _CODE.fullmatch(code)):
        raise Usage(f"'{text}' is no error", field="--error", remedy="write SOURCE:CODE, as in pilot:1212")
    return {"error_source": source, "error_code": int(code or 0)}


def read_rule(
    action: str | None,
    error: str | None,
    diag: str | None,
    max_attempt: int | None,
    steps: str | None,
    release: str | None,
    architecture: str | None,
    share: str | None,
    until: str | None,
    description: str | None,
) -> dict[str, Any]:
    """What was said of a rule, under the names of the interface. Raises Usage."""
    rule: dict[str, Any] = {} if error is None else read_error(error)
    parameters: dict[str, Any] = {} if max_attempt is None else {"maxAttempt": max_attempt}
    if steps is not None:
        if not all(_STEP.fullmatch(part.strip()) for part in steps.split(",")):
            raise Usage(f"'{steps}' are no steps", field="--steps", remedy="three attempts, as in 2,4,7")
        parameters["steps"] = [int(part) for part in steps.split(",")]
    said: dict[str, Any] = {
        "action": action,
        "error_diag": diag,
        "release": release,
        "architecture": architecture,
        "gshare": share,
    }
    said |= {"description": description, "parameters": parameters or None}
    rule |= {name: value for name, value in said.items() if value is not None}
    if until is not None:
        rule["expiration_time"] = None if until == "never" else until
    return rule
