"""What can be done about an incident, and about many at once. The API decides who may; here only the buttons.

What changes the incident alone is done directly, with the note; what changes jobs, tasks or queues is previewed
(dashboard/deeds.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard import ends, signin
from dashboard.components.buttons import button
from dashboard.components.comparison import comparison
from dashboard.works import Question, Shown, Values, Work
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_NOTE = "incident-note"
_MAIN = {
    "acknowledge": ("Acknowledge", "a", "tell others that you have it"),
    "resolve": ("Resolve", "e", "it is over; it opens again by itself if it comes back"),
    "reopen": ("Reopen", "o", "it is not over, or nobody has it any more"),
}
_OFFERED = {
    "open": ("acknowledge", "resolve"),
    "reopened": ("acknowledge", "resolve"),
    "acknowledged": ("resolve", "reopen"),
    "silenced": ("acknowledge", "resolve", "reopen"),
    "resolved": ("reopen",),
}
_REASONS = (
    ("fixed", "it is fixed"),
    ("not_a_problem", "it is no problem"),
    ("duplicate", "another incident has it"),
    ("moved", "it is somebody else's now"),
)
_SEVERITIES = (("critical", "critical"), ("error", "error"), ("warning", "warning"))
_PARTS = {
    "computing_site": "queue",
    "jedi_task_id": "task",
    "prod_user_name": "user",
    "modification_host": "worker node",
    "storage": "storage",
}
_COMMENT = Question("comment", "Note", hint="for those who come after")


def bar() -> html.Div:
    """The place of the note and the buttons."""
    return html.Div(
        [html.Div(id="incident-choices", className="choices lines"), dcc.Store(id="incident-state")],
        className="actions",
    )


def state_of(row: Mapping[str, Any]) -> str:
    """What the buttons depend on."""
    return f"{row['state']} {row.get('held_by') or ''}"


def choices(row: Mapping[str, Any]) -> Any:
    """The buttons that make sense for the incident's state, or how to sign in."""
    if not signin.may_act():
        return html.P(signin.HOW, className="how-to-act")
    number, state = row["incident_id"], row["state"]
    note = dmc.TextInput(id=_NOTE, placeholder="Note (optional)", className="note", size="sm")
    main = [_main(name, number, index == 0) for index, name in enumerate(_OFFERED.get(state, ()))]
    is_live = state not in ("resolved", "candidate")
    first = html.Div(
        [note, *main, _noted("Comment", "comment", number, "write the note down", "c")], className="choices-line"
    )
    about = [
        button("Assign", "assign", number, title="ask somebody to look at it", key="m", note=_NOTE),
        button("Silence", "silence", number, title="tell nobody for a while", key="s", note=_NOTE) if is_live else None,
        button("Severity", "severity", number, title="say how severe it is; no rule changes that then", note=_NOTE),
        _hold(row) if is_live else None,
        button("Ended because …", "resolve-as", number, title="say why it is over", note=_NOTE) if is_live else None,
        button("Merge", "merge", number, title="put all of it into another incident", note=_NOTE),
        button("Split", "split", number, title="make a part of it an incident of its own", note=_NOTE),
        button("Links", "links", number, title="tickets and pages about it"),
    ]
    grave = [
        button("Drain the queue", "drain-for", number, title="no new work there for a while", key="D", note=_NOTE),
        button(
            "Kill its jobs", "kill-for", number, title="the live jobs of its tasks", key="K", note=_NOTE, is_grave=True
        ),
        button("Retry what was lost", "retry-for", number, title="the tasks whose work it lost", key="R", note=_NOTE),
    ]
    return [
        first,
        html.Div(
            [one for one in about if one is not None] + [html.Span(className="between"), *grave],
            className="choices-line",
        ),
    ]


def _main(name: str, number: int, is_first: bool) -> html.Button:
    words, key, title = _MAIN[name]
    return button(words, name, number, title=title, key=key, note=_NOTE, is_main=is_first)


def _noted(words: str, name: str, number: int, title: str, key: str | None = None) -> html.Button:
    return button(words, name, number, title=title, key=key, note=_NOTE)


def _hold(row: Mapping[str, Any]) -> html.Button:
    if row.get("held_by"):
        title = f"{row['held_by']} holds it: let rules end and change it again"
        return _noted("Release", "release", row["incident_id"], title)
    return _noted("Hold", "hold", row["incident_id"], "no rule ends or changes it until it is released", "H")


def _direct(name: str, words: str) -> Work:
    async def carry_out(client: AsyncClient, to: str, values: Values) -> str:
        await getattr(client, name)(int(to), values.get("note") or None)
        return words.format(to=to)

    return Work(name, words, carry_out, is_instant=True)


async def _comment(client: AsyncClient, to: str, values: Values) -> str:
    if not values.get("note"):
        raise Usage("there is nothing in the note", field="note", remedy="write into the field on the left first")
    await client.comment(int(to), values["note"])
    return f"Written down for incident {to}."


async def _assign(client: AsyncClient, to: str, values: Values) -> str:
    await client.assign(int(to), values["who"], values["comment"] or None)
    return (
        f"Incident {to} is assigned to {values['who']}." if values["who"] else f"Incident {to} is nobody's to look at."
    )


async def _silence(client: AsyncClient, to: str, values: Values) -> str:
    await client.silence_incident(int(to), reason=values["reason"], **ends.silence_end(values))
    return f"Incident {to} is silent. It can be ended below, or on the page Silences."


async def _severity(client: AsyncClient, to: str, values: Values) -> str:
    await client.set_severity(int(to), values["severity"], values["comment"] or None)
    return f"Incident {to} is {values['severity']}; rules leave that alone until it is released."


async def _resolve_as(client: AsyncClient, to: str, values: Values) -> str:
    await client.resolve(int(to), values["comment"] or None, reason=values["because"])
    return f"Incident {to} is resolved."


def _other(values: Values) -> int | None:
    """The number of the other incident; None while none is named. Raises Usage for what is no number."""
    text = values["into"].lstrip("#").strip()
    if text and not text.isdecimal():
        raise Usage(f"'{text}' is not the number of an incident", field="into", remedy="its number, as in #17")
    return int(text) if text else None


async def _compare(client: AsyncClient, to: str, values: Values) -> Shown:
    """Why the two are two, before they become one."""
    other = _other(values)
    if other is None:
        return Shown(
            html.P("Name the other one: then it is shown in what the two differ.", className="dim"), may_go=False
        )
    return Shown(comparison(await client.compare_incidents(int(to), other)))


async def _merge(client: AsyncClient, to: str, values: Values) -> str:
    into = _other(values) or 0
    await client.merge_incident(int(to), into, values["comment"])
    return f"Incident {to} is part of incident {into} now. That is taken back under 'Merges and splits'."


async def _split_questions(client: AsyncClient, to: str) -> Sequence[Question]:
    """The values that it has, most first."""
    breakdown = (await client.incident(int(to))).get("breakdown") or {}
    found = [
        (f"{field}={value['value']}", f"{words} {value['value'] or 'not specified'} ({value['count']})")
        for field, words in _PARTS.items()
        for value in (breakdown.get(field) or [])[:20]
        if value["value"] not in (None, "") and len(breakdown[field]) > 1
    ]
    if not found:
        raise Usage("all of it has one value of everything: there is no part to split off", field="part")
    return [Question("part", "What becomes an incident of its own", "choice", found[0][0], found), _COMMENT]


async def _split(client: AsyncClient, to: str, values: Values) -> str:
    dimension, _, value = values["part"].partition("=")
    made = await client.split_incident(int(to), dimension, value, values["comment"])
    return f"Incident {made['incident']['incident_id']} is what was split off incident {to}."


async def _link_questions(client: AsyncClient, to: str) -> Sequence[Question]:
    links = (await client.incident(int(to)))["incident"].get("links") or []
    text = "\n".join(f"{link['url']} {link['title']}".strip() for link in links)
    return [Question("links", "One address and its title on each line", "long", text, hint="http or https; at most 20")]


async def _links(client: AsyncClient, to: str, values: Values) -> str:
    found = [line.strip().partition(" ") for line in values["links"].splitlines() if line.strip()]
    await client.set_links(int(to), [{"url": url, "title": title.strip() or url} for url, _, title in found])
    return f"Incident {to} has {len(found)} links."


async def _open(client: AsyncClient, to: str, values: Values) -> str:
    task = values["task"]
    if task and not task.isdecimal():
        raise Usage(f"'{task}' is not the number of a task", field="task")
    row = await client.open_incident(
        values["title"],
        severity=values["severity"],
        queue=values["queue"],
        task=int(task) if task else None,
        text=values["text"],
    )
    return f"Incident {row['incident_id']} is open, and held by you: no rule ends it."


async def _unlink(client: AsyncClient, to: str, values: Values) -> str:
    await client.undo_link(int(to))
    return f"Merge or split {to} is taken back."


_WHO = Question("who", "Who", hint="a user's name; empty: nobody any more")

WORKS: tuple[Work, ...] = (
    _direct("acknowledge", "Incident {to} is yours."),
    _direct("resolve", "Incident {to} is resolved."),
    _direct("reopen", "Incident {to} is open."),
    _direct("hold", "Incident {to} is held: no rule ends or changes it."),
    _direct("release", "Incident {to} is released: rules may end and change it."),
    Work("comment", "Comment", _comment, is_instant=True),
    Work("assign", "Assign incident {to}", _assign, "Assign", (_WHO, _COMMENT)),
    Work(
        "silence",
        "Silence incident {to}",
        _silence,
        "Silence",
        (*ends.SILENCE_QUESTIONS, Question("reason", "Why", hint="stands beside it in the list of silences")),
        sentence="It goes on being counted and judged; nobody is told of it until the silence ends.",
    ),
    Work(
        "severity",
        "Severity of incident {to}",
        _severity,
        "Set it",
        (Question("severity", "It is", "choice", "error", _SEVERITIES), _COMMENT),
        sentence="Rules raise the severity by what a trouble costs. What a person says stays until it is released.",
    ),
    Work(
        "resolve-as",
        "Resolve incident {to}",
        _resolve_as,
        "Resolve",
        (Question("because", "Because", "choice", "fixed", _REASONS), _COMMENT),
        sentence="When the trouble comes back a new incident is opened, which names this one.",
    ),
    Work(
        "merge",
        "Merge incident {to} into another",
        _merge,
        "Merge",
        (Question("into", "Into incident", hint="its number"), _COMMENT),
        show=_compare,
        sentence="What is there and what will come goes into the other one. It can be taken back.",
    ),
    Work(
        "open-incident",
        "Open an incident",
        _open,
        "Open it",
        (
            Question("title", "What is wrong"),
            Question("severity", "It is", "choice", "error", _SEVERITIES),
            Question("queue", "At queue", hint="empty: at none in particular"),
            Question("task", "Of task", hint="its jediTaskID; empty: of none"),
            Question("text", "What is known", "long"),
        ),
        sentence="For a trouble that no rule sees. It is told as those that rules open.",
    ),
    Work("split", "Split incident {to}", _split, "Split off", ask=_split_questions),
    Work("links", "Links of incident {to}", _links, "Keep", ask=_link_questions),
    Work("unlink", "Take back {to}", _unlink, is_instant=True),
)
