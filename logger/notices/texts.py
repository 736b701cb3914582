"""A message in plain words, for mail and chat: a subject and one line for each incident with what happened to it.

What others wrote (titles, log lines, names) is made harmless here for plain text; channels escape what they interpret.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.models.incident import ONE_OF
from logger.notices.message import Item, Message
from logger.texts import one_line

_TITLE = 150
_LINE = 300
_SEVERITIES = ONE_OF["severity"]  # worst first
_WORDS = {"worse": "got worse", "unsilenced": "no longer silenced"}


def subject(message: Message) -> str:
    """The message in one line."""
    if not message.items:
        return f"Test of the notice route {one_line(message.route['name'], 80)}"
    incidents = by_incident(message)
    if len(incidents) == 1:
        items = incidents[0]
        incident = items[-1].incident
        where = f" at {one_line(incident['computing_site'], 60)}" if incident["computing_site"] else ""
        return f"[{incident['severity']}] {_happened(items)}: {one_line(incident['title'], _TITLE)}{where}"
    worst = min((items[-1].incident["severity"] for items in incidents), key=_SEVERITIES.index)
    since = min(item.time for item in message.items)
    return f"[{worst}] {len(incidents)} incidents changed since {since:%Y-%m-%d %H:%M} UTC"


def lines(message: Message) -> Iterator[tuple[int, str, str]]:
    """For each incident, worst first, its id, a headline and what is known of it (may be several lines)."""
    for items in sorted(by_incident(message), key=lambda items: _SEVERITIES.index(items[-1].incident["severity"])):
        incident = items[-1].incident
        yield (
            incident["incident_id"],
            f"[{incident['severity']}] #{incident['incident_id']} {one_line(incident['title'], _TITLE)}",
            "\n".join(_details(items, is_short=len(message.items) > 20)),
        )


def body(message: Message) -> str:
    """The message as plain text."""
    if not message.items:
        who = one_line(message.tested_by, 100)
        return f"{subject(message)}\n\n{who} pressed the test button: notices of this route arrive here.\n"
    parts = [subject(message)]
    if message.is_late:
        parts.append(f"{len(message.items)} changes had to wait and come together:")
    for incident_id, headline, details in lines(message):
        more = [*details.split("\n"), message.url_of(incident_id)]
        parts.append("\n".join([headline, *(f"  {line}" for line in more)]))
    return "\n\n".join(parts) + "\n"


def by_incident(message: Message) -> list[list[Item]]:
    """The changes of each incident in their order; incidents in order of their first change."""
    found: dict[int, list[Item]] = {}
    for item in message.items:
        found.setdefault(item.incident["incident_id"], []).append(item)
    return list(found.values())


def _details(items: list[Item], *, is_short: bool) -> Iterator[str]:
    incident = items[-1].incident
    yield ", ".join(f"{_word(item.what)} {item.time:%Y-%m-%d %H:%M:%S} UTC{_by(item)}" for item in items)
    if is_short:
        return
    if incident["verdict"]:
        value = one_line(incident["verdict_value"], 100)
        yield f"verdict: {incident['verdict']}{f' {value}' if value else ''}"
    counts = [f"{incident[name]} {word}" for name, word in _COUNTED if incident[name]]
    if counts:
        yield ", ".join(counts)
    if owner := incident["owner"] or incident["assigned_to"]:
        yield f"owner: {one_line(owner, 80)}"
    if incident["culprit_line"]:
        yield f"line: {one_line(incident['culprit_line'], _LINE)}"
    for item in items:
        if item.reason:
            yield f"{_word(item.what)}: {one_line(item.reason, _LINE)}"


_COUNTED = (
    *(("job_count", "jobs"), ("record_count", "records"), ("queue_count", "queues"), ("task_count", "tasks")),
    ("user_count", "users"),
)


def _happened(items: list[Item]) -> str:
    """opened, or opened and resolved: what came within the wait is one line."""
    words = list(dict.fromkeys(_word(item.what) for item in items))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _word(what: str) -> str:
    return _WORDS.get(what, what)


def _by(item: Item) -> str:
    return f" by {one_line(item.who, 60)}" if item.who else ""
