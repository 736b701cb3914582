"""What people type after `:` and `/`, turned into addresses and filters. Pure; raises `Usage` with the remedy.

jobs site=BNL* failed 6h      job 17      log 17 pilot.log 12      inc severity=critical      incident 5
http://host:25080/monitor/job/17/      /incidents/?state=*      17 (a job)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pandascope.addresses import Address, Page, log_address, parse_address
from pandascope.errors import Usage

LISTS: dict[str, Page] = {
    "now": Page.NOW,
    "home": Page.NOW,
    "jobs": Page.JOBS,
    "incidents": Page.INCIDENTS,
    "inc": Page.INCIDENTS,
    "queues": Page.QUEUES,
    "sites": Page.QUEUES,
    "tasks": Page.TASKS,
    "staging": Page.STAGING,
    "tape": Page.STAGING,
    "shares": Page.SHARES,
    "users": Page.USERS,
    "rules": Page.RULES,
    "system": Page.SYSTEM,
    "agents": Page.SYSTEM,
    "silences": Page.SILENCES,
    "shift": Page.SHIFTS,
    "shifts": Page.SHIFTS,
    "deeds": Page.AUDIT,
    "audit": Page.AUDIT,
}
OBJECTS: dict[str, Page] = {
    "job": Page.JOB,
    "incident": Page.INCIDENT,
    "inc": Page.INCIDENT,
    "task": Page.TASK,
    "shift": Page.SHIFT,
}
WORDS = (
    "now",
    "jobs",
    "job",
    "log",
    "incidents",
    "incident",
    "queues",
    "tasks",
    "task",
    "staging",
    "shares",
    "users",
    "rules",
    "system",
    "silences",
    "shift",
    "deeds",
    "find",
    "theme",
    "help",
    "quit",
)
"""Commands offered for completion."""

JOB_STATUSES = (
    "pending", "defined", "waiting", "assigned", "throttled", "activated", "sent", "starting", "stagein", "running",
    "stageout", "holding", "merging", "transferring", "finished", "failed", "cancelled", "closed",
)  # fmt: skip
_STATUSES: dict[Page, tuple[str, ...]] = {
    Page.JOBS: JOB_STATUSES,
    Page.TASKS: (
        "registered", "staging", "staged", "defined", "assigning", "topreprocess", "preprocessing", "ready", "pending",
        "scouting", "running", "throttled", "paused", "exhausted", "done", "finished", "failed", "aborted", "broken",
    ),
    Page.STAGING: ("queued", "staging", "done", "cancelled", "retired", "*"),
}  # fmt: skip
"""Values of `status` that are offered for completion."""
_SHORT_FIELDS = {
    "status": {Page.JOBS: "job_status", Page.TASKS: "status", Page.INCIDENTS: "state"},
    "site": {Page.JOBS: "computing_site", Page.INCIDENTS: "computing_site"},
    "queue": {Page.JOBS: "computing_site", Page.INCIDENTS: "computing_site"},
    "user": {Page.JOBS: "prod_user_name", Page.TASKS: "user_name"},
    "task": {Page.JOBS: "jedi_task_id", Page.INCIDENTS: "jedi_task_id"},
    "host": {Page.JOBS: "modification_host"},
    "label": {Page.JOBS: "prod_source_label"},
}
FIELDS: dict[Page, tuple[str, ...]] = {
    Page.JOBS: (
        "job_status", "computing_site", "prod_user_name", "jedi_task_id", "prod_source_label", "processing_type", "error",
        "modification_host", "incident", "q", "hours", "days",
    ),
    Page.INCIDENTS: (
        "state", "severity", "kind", "component", "computing_site", "jedi_task_id", "owner", "verdict", "verdict_value",
        "class", "step", "assigned_to", "held_by", "inhibited", "inhibited_by", "candidates", "fingerprint", "q", "hours",
    ),
    Page.TASKS: ("status", "user_name", "q", "hours", "days"),
    Page.QUEUES: (),
    Page.STAGING: ("status", "dataset"),
    Page.SHARES: (),
    Page.USERS: ("kind", "name"),
    Page.RULES: (),
    Page.SYSTEM: (),
    Page.SILENCES: ("incident_id", "who", "until_kind", "ended"),
    Page.SHIFTS: (),
    Page.AUDIT: ("who", "action", "state", "target_kind", "revert_state", "via", "deed_id", "incident_id", "target"),
}  # fmt: skip
"""Filters offered for completion; the server says which it takes."""

_MOST_DIGITS = 18
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([hd])")


@dataclass(frozen=True)
class Find:
    """`:find TEXT`: ask the server what the text names."""

    text: str


@dataclass(frozen=True)
class Theme:
    """`:theme NAME`."""

    name: str


@dataclass(frozen=True)
class Quit:
    """`:quit`."""


@dataclass(frozen=True)
class Help:
    """`:help`."""


Command = Address | Find | Theme | Quit | Help


def parse_command(text: str) -> Command:
    """What a command line asks for. Raises Usage with a sentence and a remedy for anything else."""
    text = text.strip().removeprefix(":").strip()
    if not text:
        raise Usage("type where to go", remedy="for example jobs failed 6h, job 17, incident 5, or paste an address")
    if text.startswith("/") or urlsplit(text).scheme in {"http", "https"}:
        return parse_address(text)
    words = _split(text)
    name, rest = words[0].lower(), words[1:]
    if _is_number(name) and not rest:
        return Address(Page.JOB, int(name))
    simple = _simple(name, rest)
    if simple is not None:
        return simple
    if name in {"log", "logs", "l"}:
        return _log(rest)
    if name in OBJECTS and (name not in LISTS or (rest and _is_number(rest[0]))):
        return Address(OBJECTS[name], _number(name, rest))
    if name in LISTS:
        page = LISTS[name]
        return Address(page, filters=parse_filters(rest, page))
    raise Usage(f"there is no command '{name}'", remedy=f"there are: {', '.join(WORDS)}")


def _simple(name: str, rest: list[str]) -> Command | None:
    if name in {"q", "quit", "exit"}:
        return Quit()
    if name in {"help", "h", "?"}:
        return Help()
    if name == "theme":
        return Theme(rest[0] if rest else "")
    if name in {"find", "search"}:
        if not rest:
            raise Usage("find what?", remedy="find a number, a name or a part of one")
        return Find(" ".join(rest))
    return None


def parse_filters(words: Iterable[str], page: Page) -> dict[str, str]:
    """Filters of a list from words: `name=value`, a span (`6h`, `2d`), a job's state, anything else is searched for."""
    filters: dict[str, str] = {}
    searched: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        span = _SPAN.fullmatch(word)
        if equals and name:
            filters[_SHORT_FIELDS.get(name, {}).get(page, name)] = value
        elif span:
            filters["hours" if span[2] == "h" else "days"] = span[1]
        elif page is Page.JOBS and word in JOB_STATUSES:
            filters["job_status"] = "|".join(filter(None, [filters.get("job_status", ""), word]))
        else:
            searched.append(word)
    if searched:
        filters["q"] = " ".join(searched)
    return filters


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _number(name: str, words: list[str]) -> int:
    if len(words) != 1 or not _is_number(words[0]):
        raise Usage(f"{name} takes one number", remedy=f"for example: {name} 17")
    return int(words[0])


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS


def _log(words: list[str]) -> Address:
    if not words or not _is_number(words[0]):
        raise Usage(
            "log takes the number of a job", remedy="for example: log 17, log 17 pilot.log, log 17 pilot.log 120"
        )
    line = int(words[2]) if len(words) > 2 and _is_number(words[2]) else None
    return log_address(int(words[0]), words[1] if len(words) > 1 else "", line)


def completions(text: str) -> list[str]:
    """Whole command lines that could follow from what is typed so far, the likeliest first."""
    if " " not in text:
        return [word for word in WORDS if word.startswith(text) and word != text] if text else []
    head, _, last = text.rpartition(" ")
    page = LISTS.get(head.split(" ")[0])
    if page is None or not last:
        return []
    name, equals, value = last.partition("=")
    if not equals:
        offers = [f"{field}=" for field in FIELDS.get(page, ()) if field.startswith(name)]
        if page is Page.JOBS:
            offers += [status for status in JOB_STATUSES if status.startswith(name)]
    else:
        offers = [f"{name}={candidate}" for candidate in _values(name, page) if candidate.startswith(value)]
    return [f"{head} {offer}" for offer in offers if offer != last]


def _values(field: str, page: Page) -> Iterable[str]:
    return {
        "job_status": JOB_STATUSES,
        "status": _STATUSES.get(page, ()),
        "state": ("open", "reopened", "acknowledged", "silenced", "resolved", "*"),
        "severity": ("critical", "error", "warning"),
        "verdict": ("site", "task", "user", "node", "data", "central", "unclear"),
        "inhibited": ("1", "0", "*"),
        "candidates": ("1",),
        "ended": ("1",),
        "until_kind": ("time", "shift", "doubles", "second_queue", "fixed"),
        "revert_state": ("waiting", "done", "superseded", "cancelled"),
        "kind": ("failure_burst", "absence", "backlog", "service", "data", "manual"),
        "hours": ("1", "6", "24"),
        "days": ("1", "3", "7", "30"),
    }.get(field, ())
