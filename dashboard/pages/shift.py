"""Shift: what did I inherit, what happens, what do I hand over? The running shift, or one of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html, no_update

from dashboard import signin, wording
from dashboard.components import buttons, markdown, marks, panels
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.paging import older
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.works import Question, Shown, Values, Work
from pandascope.addresses import Address

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_PAGE_SIZE = 20
_HEADS = ["#Shift", "From", "Until", "By", "State", "Handed over by", "Taken over by", "#Notes"]
_NOTE = "shift-note"
_STATE = ("shift_id", "state", "outgoing_by", "is_edited", "draft_time", "digest")
"""What the buttons depend on."""


def _layout(address: Address, links: Links) -> html.Div:
    prefix = str(address.page)
    text = [html.Div(panels.skeleton(420), id=f"{prefix}-text")]
    beside = [html.Div(id=f"{prefix}-notes")]
    return html.Div(
        [
            html.Div(heading("Shift"), id=f"{prefix}-head"),
            html.Div([html.Div(id=f"{prefix}-choices"), dcc.Store(id=f"{prefix}-state")], className="actions"),
            html.Div(
                [html.Div(text, className="stack"), html.Div(beside, className="stack")],
                className="two-columns wide-left",
            ),
            html.Div(id=f"{prefix}-before"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    listed = await view.client.shifts(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    number = view.address.number or listed["running"]
    before = _before(listed, view)
    may_act = signin.may_act()
    if number is None:
        state = "nobody"
        head = heading("Nobody has the watch", below=[html.Span(_watch(listed)), freshness(listed)])
        text: Any = panels.empty("No shift is running: somebody who starts one gets a handover that writes itself.")
        start = [
            buttons.button("Start a shift", "start-shift", "new", is_main=True),
            buttons.button("… with others", "start-shift-with", "new"),
        ]
        choices = html.Div(start, className="choices") if may_act else html.P(signin.HOW, className="how-to-act")
        return [head, _kept(view, state, choices), state, text, None, before]
    answer = await view.client.shift(number)
    shift = answer["shift"]
    state = " ".join(str(shift[name]) for name in _STATE)
    head = heading(_title_of(shift), below=_below(shift, listed, answer), aside=copy_link())
    choices = _choices(shift) if may_act else html.P(signin.HOW, className="how-to-act")
    return [
        head,
        _kept(view, state, choices),
        state,
        _text(answer, view.links, may_act),
        _notes(answer["notes"], view.links),
        before,
    ]


def _title_of(shift: Mapping[str, Any]) -> str:
    """'Shift 4: night', and just 'Shift 4' of one that nobody gave a name."""
    name = str(shift["name"] or "")
    return f"Shift {shift['shift_id']}" + (f": {name}" if name and name != "shift" else "")


def _kept(view: View, state: str, choices: Any) -> Any:
    """The buttons stay under the writer's hand while only numbers change."""
    return no_update if view.is_signal and view.states[0] == state else choices


def _watch(listed: Mapping[str, Any]) -> str:
    start, end = (wording.clock_time(listed["watch"][name])[11:16] for name in ("start", "end"))
    return f"by the plan the watch is from {start} to {end} UTC"


def _below(shift: Mapping[str, Any], listed: Mapping[str, Any], answer: dict[str, Any]) -> list[Any]:
    people = ", ".join(shift["people"] or []) or "nobody"
    said: list[Any] = [html.Span(f"by {people}"), html.Span(["began ", marks.age(shift["start_time"])])]
    if shift["state"] == "running":
        said.append(html.Span(_watch(listed)))
    if shift.get("is_overdue"):
        said.append(html.Span("the watch is over: hand it over", className="chip chip-warning"))
    if shift["outgoing_by"]:
        said.append(html.Span([f"signed by {shift['outgoing_by']} ", marks.age(shift["outgoing_time"])]))
    if shift["incoming_by"]:
        said.append(html.Span([f"taken over by {shift['incoming_by']} ", marks.age(shift["incoming_time"])]))
    if shift["digest"]:
        digest = html.Span(f"SHA-256 {shift['digest'][:12]}…", title=shift["digest"], className="mono dim")
        said.append(digest)
    return [*said, freshness(answer)]


def _choices(shift: Mapping[str, Any]) -> Any:
    number = shift["shift_id"]
    export = buttons.button("Markdown", "export-shift", number, title="the handover as a document")
    note = dmc.TextInput(id=_NOTE, placeholder="What should those who come know?", className="note", size="sm")
    write = buttons.button("Note", "note-shift", number, title="write it down", key="c", note=_NOTE)
    if shift["state"] != "running":
        return html.Div([note, write, export], className="choices")
    sign: list[Any] = []
    if shift["outgoing_by"]:
        to = f"{number}:{shift['digest']}"
        sign = [
            buttons.button(
                "Sign in", "sign-in", to, title="take over what stands below: your shift begins", is_main=True, key="a"
            ),
            buttons.button("… with others", "sign-in-with", to),
        ]
    edit = buttons.button("Edit the handover", "edit-shift", number, title="put your own words in its place", key="e")
    afresh = (
        buttons.button("Write it afresh", "afresh-shift", number, title="your text is given up")
        if shift["is_edited"]
        else None
    )
    return html.Div([note, write, *sign, edit, *([afresh] if afresh else []), export], className="choices")


def _text(answer: Mapping[str, Any], links: Links, may_act: bool) -> list[Any]:
    """The handover, and the button that signs just the text beside it."""
    shift, difference = answer["shift"], answer["difference"]
    how = "written by somebody" if shift["is_edited"] else "made of what happened, as of now"
    if shift["outgoing_by"]:
        how = "as it was signed"
    text = markdown.document(answer["draft"], lambda number: links.page("incident", number))
    aside: list[Any] = [html.Span(how, className="dim")]
    if may_act and shift["state"] == "running" and not shift["outgoing_by"]:
        to = f"{shift['shift_id']}:{answer['draft_digest']}"
        title = "hand over what stands here: its text is frozen"
        aside.append(buttons.button("Sign out", "sign-out", to, title=title, is_main=True))
    parts: list[Any] = [panels.panel("Handover", text, aside=html.Div(aside, className="choices"))]
    if difference:
        lines = html.Pre("\n".join(difference), className="code")
        against = html.Span("what the draft would say now, against the text above", className="dim")
        parts.append(panels.panel("Happened since it was written", lines, aside=against))
    return parts


def _notes(rows: Sequence[Mapping[str, Any]], links: Links) -> html.Section:
    if not rows:
        return panels.panel("Notes", html.P("Nothing is written down yet.", className="dim"))
    entries = [
        html.Li(
            [
                html.Div([html.Strong(row["who"]), " ", marks.age(row["time"]), *_about(row, links)]),
                html.Div(row["text"], className="comment"),
            ]
        )
        for row in reversed(rows)
    ]
    return panels.panel("Notes, newest first", html.Ol(entries, className="activity"))


def _about(row: Mapping[str, Any], links: Links) -> list[Any]:
    number = row.get("incident_id")
    return [" on ", html.A(f"#{number}", href=links.page("incident", number))] if number else []


def _before(listed: Mapping[str, Any], view: View) -> html.Section:
    if not listed["shifts"]:
        return panels.panel("Shifts", html.P("There was none yet.", className="dim"))
    rows = [
        [
            html.A(str(row["shift_id"]), href=view.links.page("shift", row["shift_id"])),
            html.Span(wording.day_time(row["start_time"]), className="nowrap"),
            html.Span(wording.day_time(row["end_time"]), className="nowrap"),
            ", ".join(row["people"] or []),
            str(row["state"]).replace("_", " "),
            row["outgoing_by"] or html.Span("nobody yet" if row["state"] == "running" else "nobody", className="dim"),
            row["incoming_by"] or html.Span("nobody yet", className="dim"),
            wording.count(row["note_count"]),
        ]
        for row in listed["shifts"]
    ]
    body = [panels.table(_HEADS, rows, class_name="shifts cards"), older(listed, view)]
    now = html.A("the running one", href=view.links.page("shifts")) if view.address.number else None
    return panels.panel("Shifts, newest first, UTC", body, aside=now, flush=True)


def _people(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


async def _start(client: AsyncClient, to: str, values: Values) -> str:
    shift = await client.start_shift(values.get("name", ""), _people(values.get("people", "")))
    return f"Shift {shift['shift_id']} is running."


async def _note(client: AsyncClient, to: str, values: Values) -> str:
    await client.note_shift(int(to), values["note"])
    return "Written down."


async def _draft(client: AsyncClient, to: str) -> Sequence[Question]:
    answer = await client.shift(int(to))
    seen = answer["shift"]["draft_time"] or ""
    return [Question(f"draft@{seen}", "Handover, in Markdown", "long", answer["draft"])]


async def _edit(client: AsyncClient, to: str, values: Values) -> str:
    name, text = next((name, text) for name, text in values.items() if name.startswith("draft@"))
    await client.edit_draft(int(to), text, name.partition("@")[2] or None)
    return "The handover is as you wrote it. What happens from now on is shown beside it."


async def _afresh(client: AsyncClient, to: str, values: Values) -> str:
    await client.edit_draft(int(to), "")
    return "The handover writes itself again."


async def _sign_out(client: AsyncClient, to: str, values: Values) -> str:
    number, _, digest = to.partition(":")
    shift = await client.sign_out(int(number), digest)
    return f"Signed: the text of shift {shift['shift_id']} is frozen. Somebody else signs in to it."


async def _sign_in(client: AsyncClient, to: str, values: Values) -> str:
    number, _, digest = to.partition(":")
    shift = await client.sign_in(int(number), _people(values.get("people", "")), digest)
    return f"You have the watch: shift {shift['shift_id']} is running."


async def _export(client: AsyncClient, to: str, values: Values) -> Shown:
    text = (await client.shift_markdown(int(to)))["markdown"]
    return Shown([buttons.copy("Copy", text), html.Pre(text, className="code tall")])


async def _exported(client: AsyncClient, to: str, values: Values) -> None:
    return None


_PEOPLE = Question("people", "Who has it", hint="names joined by commas; empty: you")
WORKS: tuple[Work, ...] = (
    Work("start-shift", "Start a shift", _start, is_instant=True),
    Work(
        "start-shift-with",
        "Start a shift",
        _start,
        "Start",
        (_PEOPLE, Question("name", "Its name", hint="empty: the usual one")),
    ),
    Work("note-shift", "Note", _note, is_instant=True),
    Work(
        "edit-shift",
        "Handover of shift {to}",
        _edit,
        "Keep",
        ask=_draft,
        is_wide=True,
        sentence="Your text stays as you leave it; an edit after a signature takes the signature away.",
    ),
    Work(
        "afresh-shift",
        "Write the handover afresh",
        _afresh,
        "Give up the text",
        sentence="What somebody wrote is given up for what happened until now.",
    ),
    Work("sign-out", "Sign out", _sign_out, is_instant=True),
    Work("sign-in", "Sign in", _sign_in, is_instant=True),
    Work("sign-in-with", "Sign in", _sign_in, "Sign in", (_PEOPLE,)),
    Work("export-shift", "Handover of shift {to} as a document", _exported, "Done", show=_export, is_wide=True),
)


def _page(name: str) -> Page:
    return Page(
        name=name,
        title=lambda address: f"Shift {address.number}" if address.number else "Shift",
        layout=_layout,
        regions=tuple(
            (f"{name}-{part}", "data" if part == "state" else "children")
            for part in ("head", "choices", "state", "text", "notes", "before")
        ),
        load=_load,
        topics=lambda address: ["shift", "incidents"],
        states=((f"{name}-state", "data"),),
    )


PAGE = _page("shifts")
ONE = _page("shift")
