"""What an action would do, in sentences, and what became of one. Counts are the server's: nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.text import clock, number, plain, plural, stamp, until
from tui.widgets.virtual_table import Row

_SHOWN = 12
_GRAVE = {"stranded", "refused", "still_failing", "of_others", "open_incidents", "unknown", "not_yours", "input_lost"}
"""Consequences that people might not have thought of."""


def wanted(made: Mapping[str, Any]) -> str:
    """`3 jobs`: those that something would be done to."""
    count = int(made.get("target_count") or 0) - int(made.get("refused_count") or 0)
    return plural(count, str(made.get("target_kind")))


def preview(
    made: Mapping[str, Any],
    difference: Sequence[str],
    palette: Palette,
    *,
    reason: str = "",
    accept_ended: bool = False,
) -> RenderableType:
    """Consequences, the frozen set, the way back; above them why a confirmation was not taken."""
    parts: list[RenderableType] = []
    if difference:
        parts.append(Text("Nothing was done: the set changed. This is what it is now.", style=palette.bad))
        parts += [_line("!", plain(words, limit=400), palette.bad) for words in difference]
        parts.append(Text(""))
    for one in made.get("consequences") or []:
        is_grave = one.get("what") in _GRAVE and one.get("count")
        parts.append(_line("▲" if is_grave else "·", plain(one.get("sentence"), limit=600),
                           palette.bad if is_grave else palette.text))  # fmt: skip
    parts += [Text(""), _targets(made, palette), _way_back(made, palette)]
    if reason:
        parts.append(_line(" ", f"why: {plain(reason, limit=400)}", palette.text))
    if accept_ended:
        parts.append(_line(" ", "Those that end by themselves meanwhile are left out.", palette.text))
    frozen = f"Frozen: {number(made.get('target_count'))} ({plain(made.get('digest'), limit=400)[:8]})"
    parts.append(
        _line(" ", f"{frozen}. Nothing is done yet. Good until {clock(made.get('expires'))[:5]} UTC.", palette.muted)
    )
    return Group(*parts)


def nothing_left(difference: Sequence[str], palette: Palette) -> RenderableType:
    """The set changed so that there is nothing to do any more."""
    lines = [_line("!", plain(words, limit=400), palette.bad) for words in difference]
    return Group(Text("Nothing was done: nothing of the set is left.", style=palette.bad), *lines)


def deed_words(deed: Mapping[str, Any]) -> str:
    """`Deed 17, drain: 1 done`."""
    result = deed.get("result") or {}
    counts = [f"{number(result[name])} {name}" for name in ("done", "refused", "gone") if result.get(name)]
    state = "it goes on, :deeds shows how far" if deed.get("state") == "executing" else str(deed.get("state"))
    return f"Deed {deed.get('deed_id')}, {plain(deed.get('action'), limit=40)}: {', '.join(counts) or state}"


def undo_question(words: str, puts_back: str, when: str, palette: Palette, reason: str) -> RenderableType:
    """What would be taken back."""
    parts: list[RenderableType] = [Text(words, style=palette.strong, overflow="fold"), Text(when, style=palette.muted)]
    parts += [Text(""), _line("↩", f"Puts back: {puts_back}.", palette.text)]
    if reason:
        parts.append(_line(" ", f"why: {plain(reason, limit=400)}", palette.text))
    return Group(*parts)


def way_of(deed: Row) -> str:
    """How a deed stands with regard to going back: undone by whom, reverts when."""
    if deed.get("undone_time"):
        return f"undone by {plain(deed.get('undone_by'), limit=40)}"
    if deed.get("revert_state") == "waiting":
        if deed.get("revert_kind") == "tests":
            so_far = so_far_of(deed)
            return f"goes back after {plural(int(deed.get('revert_count') or 0), 'test job')}{so_far and f': {so_far}'}"
        return f"goes back {until(deed.get('revert_time'))}".replace("until ", "at ")
    return plain(deed.get("revert_state") or "", limit=40)


def so_far_of(deed: Row) -> str:
    """How far a deed is that waits for test jobs: `7 of 20 succeeded`; empty when it does not wait or that is not known."""
    progress = deed.get("revert_progress")
    if not isinstance(progress, dict) or deed.get("revert_state") != "waiting":
        return ""
    wanted = int(progress.get("wanted") or 0)
    failed = ", the last one failed" if progress.get("last_failed") else ""
    return f"{number(min(int(progress.get('finished') or 0), wanted))} of {number(wanted)} succeeded{failed}"


def one_deed(answer: Mapping[str, Any], palette: Palette) -> RenderableType:
    """A deed with what became of each of its objects."""
    deed = answer.get("deed") or {}
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.strong)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold", style=palette.muted)
    for target in answer.get("targets") or []:
        state = plain(target.get("state"), limit=20)
        style = palette.good if state == "done" else palette.bad if state == "refused" else palette.muted
        table.add_row(Text(plain(target.get("target"), limit=80)), Text(state, style=style),
                      Text(plain(target.get("note"), limit=300)))  # fmt: skip
    by = f"{plain(deed.get('who'), limit=60)}, {stamp(deed.get('time'))}, by way of {plain(deed.get('via'), limit=20)}"
    head = f"{deed_words(deed)} · {by}"
    parts: list[RenderableType] = [Text(head, style=palette.text, overflow="fold")]
    for name, value in (
        ("why", deed.get("reason")),
        ("back", way_of(deed) or deed.get("inverse") or "nothing takes it back"),
    ):
        if value:
            parts.append(Text(f"{name}: {plain(value, limit=600)}", style=palette.muted, overflow="fold"))
    return Group(*parts, Text(""), table)


def _targets(made: Mapping[str, Any], palette: Palette) -> RenderableType:
    targets = list(made.get("targets") or [])
    names = Text(plural(int(made.get("target_count") or 0), str(made.get("target_kind"))) + ": ", style=palette.muted)
    for position, target in enumerate(targets[:_SHOWN]):
        style = palette.muted if target.get("refusal") else palette.strong
        names.append("  " if position else "").append(plain(target.get("target"), limit=60), style)
    rest = int(made.get("target_count") or 0) - min(len(targets), _SHOWN)
    if rest > 0:
        names.append(f"  and {number(rest)} more", palette.muted)
    return _hung(" ", names)


def _way_back(made: Mapping[str, Any], palette: Palette) -> RenderableType:
    if made.get("no_inverse"):
        return _line("▲", f"Cannot be taken back: {plain(made['no_inverse'], limit=300)}.", palette.bad)
    return _line("↩", f"z puts back: {plain(made.get('inverse'), limit=300)}.", palette.text)


def _line(sign: str, words: str, style: Any) -> RenderableType:
    return _hung(sign, Text(words, style=style))


def _hung(sign: str, words: Text) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(Text(sign, style=words.style), words)
    return table
