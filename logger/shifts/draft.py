"""The draft of a handover as Markdown, from the facts of a shift. Knows no table; whatever others wrote cannot forge a
heading, link or image in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from core.database import Row
from core.wording import counted
from logger.shifts.facts import MOST, ShiftFacts
from logger.texts import markdown_safe, one_line

_LONGEST = 160


def draft(facts: ShiftFacts) -> str:
    """The handover: what is open, what happened, what was done, what is due, what was noted."""
    shift = facts.shift
    lines = [
        f"# Handover of {_say(shift['name'])}, {facts.end:%Y-%m-%d}",
        "",
        f"From {_at(shift['start_time'])} until {_at(facts.end)}, by {_people(shift['people'])}.",
        "",
    ]
    lines += _figures(facts)
    lines += _section("Open now, worst first", facts.open_incidents, _open_incident, "Nothing is open.")
    opened = [row for row in facts.changes if row["what"] in ("opened", "reopened")]
    resolved = [row for row in facts.changes if row["what"] == "resolved"]
    lines += _section("Opened", opened, _change, "Nothing opened.")
    lines += _section("Resolved", resolved, _change, "Nothing was resolved.")
    done = sorted([*facts.deeds, *facts.direct], key=lambda row: row["time"])
    lines += _section("Done", done, _done, "Nobody did anything that is written down.")
    lines += _section("Silences in force", facts.silences, _silence, "")
    lines += _section("Goes back by itself", facts.reverts, _revert, "")
    lines += _section("Notices that did not arrive", facts.notices, _notice, "")
    if facts.silent_queues:
        names = ", ".join(_say(name) for name in facts.silent_queues[:20])
        lines += ["## Queues with work and no pilots now", "", names, ""]
    lines += _section("Notes", facts.notes, _note, "No notes.", most=500)
    return "\n".join(lines).rstrip() + "\n"


def _section(
    title: str, rows: Sequence[Row], say: Callable[[Row], str], nothing: str, *, most: int = MOST
) -> list[str]:
    """A heading with a list; without rows the sentence `nothing`, or no section when that is empty too."""
    if not rows and not nothing:
        return []
    body = [f"- {say(row)}" for row in rows[:most]] or [nothing]
    if len(rows) > most:
        body.append("- and more, see the monitor")
    return [f"## {title}", "", *body, ""]


def _figures(facts: ShiftFacts) -> list[str]:
    figures = facts.figures
    ended = figures.finished + figures.failed
    share = f", {100 * figures.failed / ended:.1f} % of them failed" if ended else ""
    then = figures.finished_last_week + figures.failed_last_week
    before = f" The same hours a week before: {then:,} ended"
    before += f", {100 * figures.failed_last_week / then:.1f} % failed." if then else "."
    return [f"{counted(ended, 'job')} ended{share}.{before}", ""]


def _open_incident(row: Row) -> str:
    whose = row["owner"] or row["assigned_to"]
    parts = [f"**{row['severity']}** {_incident(row)}", row["state"]]
    if row["verdict"] not in ("", "unclear"):
        parts.append(f"{row['verdict']} {_say(row['verdict_value'])}".strip())
    parts.append(f"with {_say(whose)}" if whose else "nobody has it")
    events = row["job_count"] + row["record_count"]
    parts.append(f"{counted(events, 'event')} since {_at(row['first_seen'])}")
    if row["inhibited_by"]:
        parts.append(f"explained by incident {row['inhibited_by']}")
    if row["culprit_line"]:
        parts.append(_say(row["culprit_line"]))
    return "; ".join(parts)


def _change(row: Row) -> str:
    by = "" if row["is_automatic"] else f" by {_say(row['who'])}"
    why = row["resolution"] if row["what"] == "resolved" and row["resolution"] else row["reason"]
    return f"{row['time']:%H:%M} {_incident(row)} {row['what']}{by}{_because(why)}"


_FIELDS = {
    "matcher": "all with",
    "until_time": "until",
    "is_active": "switched on",
    "is_final": "later routes hear nothing",
    "prod_source_label": "label",
}
"""Columns whose names are no words."""
_ASIDE = frozenset({"until_kind", "rule_id", "version"})
"""What the sentence or the number of the object says already."""


def _done(row: Row) -> str:
    return _deed(row) if "deed_id" in row else _direct(row)


def _deed(row: Row) -> str:
    """A deed with its counts, and whether it was taken back."""
    what = f"undid deed {row['parameters'].get('deed_id')}" if row["action"] == "undo" else row["action"]
    named = ", ".join(_say(target) for target in row["targets"])
    more = f" and {row['target_count'] - len(row['targets'])} more" if row["target_count"] > len(row["targets"]) else ""
    done = row["result"].get("done", 0)
    counts = "" if done == row["target_count"] else f", {done} of {row['target_count']} done"
    until = f", until {_revert_words(row)}" if row["revert_kind"] else ""
    undone = f"; undone by {_say(row['undone_by'])}" if row["undone_time"] else ""
    words = f"{row['time']:%H:%M} {_say(row['who'])}: {what} {row['target_kind']} {named}{more}{until}{counts}"
    return f"{words} (deed {row['deed_id']}){_because(row['reason'])}{undone}"


def _direct(row: Row) -> str:
    told = [
        (name, value)
        for name, value in row["after"].items()
        if name not in _ASIDE and value not in (None, "", [], {}) and (name, value) != ("is_final", False)
    ]
    after = ", ".join(
        f"{_say(_FIELDS.get(name, name.replace('_', ' ')))} {_say(_short(value))}" for name, value in told[:4]
    )
    # `set queue BNL`, not `set queue queue BNL`
    kind = "" if row["object_kind"] in row["action"].split() else f" {_say(row['object_kind'].replace('_', ' '))}"
    what = f"{_say(row['action'])}{kind} {_say(row['object_id'])}"
    return f"{row['time']:%H:%M} {_say(row['who'])}: {what}{f' ({after})' if after else ''}{_because(row['reason'])}"


_UNTIL = {
    "shift": "until the shift ends",
    "doubles": "until its count doubles",
    "second_queue": "until a second queue shows it",
    "fixed": "until it ends",
}


def _silence(row: Row) -> str:
    what = _incident(row) if row["incident_id"] is not None else f"what {_say(_short(row['matcher']))} finds"
    until = f"until {_at(row['until_time'])}" if row["until_kind"] == "time" else _UNTIL[row["until_kind"]]
    return f"{what}: {until}, by {_say(row['who'])}{_growth(row)}{_because(row['reason'])}"


def _growth(row: Row) -> str:
    if row["incident_id"] is None or not row["base_count"] or row["count"] <= row["base_count"]:
        return ""
    return f", +{row['count'] - row['base_count']:,} since (x{row['count'] / row['base_count']:.1f})"


def _revert(row: Row) -> str:
    named = ", ".join(_say(target) for target in row["targets"])
    return f"{named}: {row['action']} by {_say(row['who'])} ends {_revert_words(row)} (deed {row['deed_id']})"


def _revert_words(row: Row) -> str:
    if row["revert_kind"] == "tests":
        return f"when {row['revert_count']} test jobs have finished"
    return _at(row["revert_time"])


def _notice(row: Row) -> str:
    return f"{_say(row['route'])}: {row['count']} {row['state']}{_because(row['last_error'])}"


def _note(row: Row) -> str:
    about = f" (incident {row['incident_id']})" if row["incident_id"] else ""
    return f"{row['time']:%H:%M} {_say(row['who'])}{about}: {_say(row['text'], 4000)}"


def _incident(row: Row) -> str:
    return f"incident {row['incident_id']} {_say(row['title'])}"


def _because(text: str | None) -> str:
    return f": {_say(text)}" if text else ""


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_short(one)}" for name, one in list(value.items())[:5])
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value[:5])
    if isinstance(value, str) and _TIME.fullmatch(value):
        return _at(datetime.fromisoformat(value))
    return str(value)


def _people(people: Sequence[str]) -> str:
    return ", ".join(_say(name) for name in people) or "nobody"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _say(text: object, limit: int = _LONGEST) -> str:
    """What others wrote, on one line and without any power."""
    return markdown_safe(one_line(str(text), limit))
