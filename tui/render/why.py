"""Why a job or a task does not run, in words: the first reason, who can do something, what comes next, what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.facts import facts
from tui.text import number, plain, stamp

_MOST_EXCLUDED = 3


def why(answer: Mapping[str, Any], palette: Palette) -> RenderableType:
    """The whole answer."""
    reason = answer.get("reason")
    if not reason:
        return Text("Nothing is known that keeps it from running.", style=palette.muted)
    parts: list[RenderableType] = [
        Text(plain(reason["sentence"]), style=palette.strong, overflow="fold"),
        Text(),
        facts(_facts(reason, answer.get("start")), palette),
    ]
    if answer.get("also"):
        parts += [Text("\nAlso", style=palette.heading), *_also(answer["also"], palette)]
    if answer.get("brokerage"):
        parts += [Text("\nQueues", style=palette.heading), *_brokerage(answer["brokerage"], palette)]
    return Group(*parts)


def _facts(reason: Mapping[str, Any], start: Mapping[str, Any] | None) -> list[tuple[str, Text]]:
    advice = "\n".join(f"· {plain(line)}" for line in reason["advice"])
    # most sentences name the time themselves
    is_said = " UTC, " in reason["next_step"] or reason["next_step"].endswith(" UTC")
    at = f" ({stamp(reason['next_time'])})" if reason["next_time"] and not is_said else ""
    return [
        ("responsible", Text(f"{plain(reason['responsible'])}: {plain(reason['responsible_words'])}")),
        ("next", Text(f"{plain(reason['next_step'])}{at}")),
        ("you can", Text(advice)),
        ("start", Text(_start(start) if start else "")),
    ]


def _start(start: Mapping[str, Any]) -> str:
    if not start["is_known"]:
        return plain(start["sentence"])
    half, nine = stamp(start["start_p50"]), stamp(start["start_p90"])
    return f"half the time before {half}, nine times of ten before {nine}. {plain(start['sentence'])}"


def _also(reasons: Sequence[Mapping[str, Any]], palette: Palette) -> list[RenderableType]:
    return [Text(f"· {plain(reason['sentence'])}", style=palette.text, overflow="fold") for reason in reasons]


def _brokerage(brokerage: Mapping[str, Any], palette: Palette) -> list[RenderableType]:
    """The criteria that leave somebody out, and the changes that would let further queues in."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, overflow="fold")
    for step in brokerage["funnel"]:
        if step["before"] == step["after"]:
            continue
        binds = step["criterion"] == brokerage["binding_step"]
        text = Text(plain(step["sentence"]), style=palette.bad if binds else palette.text)
        for out in step["excluded"][:_MOST_EXCLUDED]:
            text.append(f"\n{plain(out['queue'], limit=80)}: {plain(out['reason'], limit=300)}", palette.muted)
        left = step["before"] - step["after"] - min(len(step["excluded"]), _MOST_EXCLUDED)
        if left > 0:
            text.append(f"\n… and {number(left)} more", palette.muted)
        table.add_row(Text(f"{step['before']} → {step['after']}", style=palette.waiting), text)
    changes = [
        Text(
            f"· {plain(change['words'])}: {change['accepted_then']} of {change['queue_count']} queues",
            style=palette.good,
        )
        for change in brokerage["changes"]
    ]
    return [Text(plain(brokerage["sentence"]), style=palette.text), *changes, table]
