"""One incident as a shifter reads it: verdict with its numbers, culprit line, jobs, silences, what was done, what was before."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from pandascope.cli.deeds import deed_table
from pandascope.cli.rendering import age, facts, harmless, heading, number, plain, state, table
from pandascope.cli.silences import silence_table

_THINGS = ("job", "task", "queue", "user", "record")
_MOST_JOBS = 10
_MOST_ACTIVITY = 20


def show_incident(terminal: Console, document: dict[str, Any]) -> None:
    """One incident, with what to do next at the end."""
    row = document["incident"]
    terminal.print(
        Text.assemble(
            f"incident {row['incident_id']} ",
            state(row["severity"]),
            " ",
            state(row["state"]),
            f"  {plain(row['title'])}",
        ),
        soft_wrap=True,
    )
    _verdict(terminal, document)
    terminal.print(facts(_facts(document)))
    _culprit(terminal, document["culprit"])
    _parts(terminal, document)
    _activity(terminal, document["activity"])
    _next(terminal, document)


def show_comparison(terminal: Console, document: Mapping[str, Any]) -> None:
    """What two incidents have in common, and what keeps them apart."""
    one, other = document["one"], document["other"]
    terminal.print(Text(plain(document["sentence"]), style="bold"), soft_wrap=True)
    rows: list[tuple[Any, ...]] = [("what", "", one["title"], other["title"])]
    rows += [
        (plain(part["part"]).replace("_", " "), _same(part["is_equal"]), part["one"], part["other"])
        for part in document["parts"]
    ]
    words = document["words"]
    differs = not (words["only_one"] or words["only_other"])
    rows.append(("words", _same(differs), " ".join(words["only_one"]), " ".join(words["only_other"])))
    rows.append(("culprit line", "", one["culprit_line"], other["culprit_line"]))
    columns = ("", "", f"~incident {one['incident_id']}", f"~incident {other['incident_id']}")
    terminal.print(table(columns, rows))
    if words["common"]:
        terminal.print(Text(f"words of both: {plain(' '.join(words['common']))}", style="dim"), soft_wrap=True)


def _same(is_equal: bool) -> Text:
    return Text("same", style="dim") if is_equal else Text("differs", style="yellow")


def _verdict(terminal: Console, document: Mapping[str, Any]) -> None:
    """Whose fault it is, and the numbers that it rests on."""
    verdict = document["verdict"]
    if verdict is None:
        return
    about = f"{plain(verdict['verdict'])} {plain(verdict['value']) if verdict['value'] else ''}".strip()
    terminal.print(Text.assemble("verdict: ", (about, "bold"), f"  {plain(verdict['sentence'])}"), soft_wrap=True)
    shown = [one for one in verdict["document"].get("dimensions") or [] if isinstance(one, dict)][:5]
    rows = [_standing(one) for one in shown if one.get("value") not in (None, "")]
    if rows:
        columns = ("by", "most of it in", ">of these failures", ">of all that ended", ">score", "~but")
        kept = len(columns) if any(row[-1] for row in rows) else -1
        terminal.print(table(columns[:kept], [row[:kept] for row in rows]))


def _standing(one: Mapping[str, Any]) -> tuple[Any, ...]:
    """One dimension: its top value's share of these failures against its share of all jobs that ended meanwhile."""
    return (
        plain(one["dimension"]).replace("_", " "),
        one["value"],
        f"{one['k']:,} ({100 * one['p']:.0f} %)",
        f"{one['b']:,} ({100 * one['q']:.0f} %)",
        f"{one['score']:.1f}",
        f"as all of it is in {plain(one['explained_by'])}" if one["explained_by"] else "",
    )


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    row, costs = document["incident"], document["economics"]
    retried = f" ({costs['retried']:,} tried again, {costs['residue']:,} lost for good)" if row["job_count"] else ""
    hit = [
        number(row[f"{thing}_count"], thing.replace("record", "log record"))
        for thing in _THINGS
        if row[f"{thing}_count"]
    ]
    slots = f", {100 * row['slot_share']:.0f} % of the running cores" if row["slot_share"] else ""
    named = (("step", row["step"]), ("class", row["error_class"]))
    failing = ", ".join(f"{name} {plain(value)}" for name, value in named if value)
    return {
        "seen": f"first {age(row['first_seen'])} ago, last {age(row['last_seen'])} ago",
        "opened": f"by {plain(row['opened_by'])}" if row["opened_by"] else "",
        "hit": ", ".join(hit) + retried,
        "lost": f"{row['lost_core_s'] / 3600:.2f} core-hours{slots}",
        "failing": failing,
        "ask": plain(document["owner_hint"]) if document.get("owner_hint") else "",
        "owner": plain(row["owner"]) if row["owner"] else "",
        "asked": plain(row["assigned_to"]) if row["assigned_to"] else "",
        "held": f"by {plain(row['held_by'])}: no rule ends or changes it" if row["held_by"] else "",
        "explained": f"by incident {row['inhibited_by']}" if row["inhibited_by"] else "",
        "merged": f"into incident {row['merged_into']}" if row["merged_into"] else "",
        "resolved": _ending(row),
        "grouped": document["grouping"],
        "more": ", ".join(plain(f"{link['title']} {link['url']}".strip()) for link in row["links"] or []),
    }


def _ending(row: Mapping[str, Any]) -> str:
    if not row["resolved_time"] or row["state"] != "resolved":
        return ""
    by = f" by {plain(row['resolved_by'])}" if row["resolved_by"] else ""
    how = f": {plain(row['resolution'])}" if row["resolution"] else ""
    return f"{age(row['resolved_time'])} ago{by}{how}"


def _culprit(terminal: Console, culprit: Mapping[str, Any] | None) -> None:
    if not culprit:
        return
    kept = " (kept of a log that is gone)" if culprit.get("is_kept") else ""
    of_job = f" of job {culprit['panda_id']}" if culprit["panda_id"] else ""
    terminal.print(heading(f"culprit line: {plain(culprit['log_name'])}{of_job}{kept}"))
    for line in culprit["around"] or [culprit]:
        is_culprit = line["line_number"] == culprit["line_number"]
        text = f"{'>' if is_culprit else ' '} {line['line_number']:>6} {harmless(line['text'])}"
        terminal.print(Text(text, style="bold red" if is_culprit else ""), soft_wrap=True)


def _parts(terminal: Console, document: Mapping[str, Any]) -> None:
    """The tables beside it, those that have rows."""
    if document["jobs"]:
        terminal.print(heading("jobs, newest first"))
        jobs = [
            (job["panda_id"], state(job["job_status"]), job["computing_site"], job["jedi_task_id"], job["job_name"])
            for job in document["jobs"][:_MOST_JOBS]
        ]
        terminal.print(table((">PandaID", "status", "queue", ">task", "~name"), jobs))
    elif document["records"]:
        terminal.print(heading("records, newest first"))
        records = [
            (age(row["time"]), state(row["level"]), row["component"], row["host"], row["message"])
            for row in document["records"][:_MOST_JOBS]
        ]
        terminal.print(table((">age", "level", "component", "host", "~message"), records))
    if document["inhibits"]:
        terminal.print(heading("it explains"))
        below = [
            (row["incident_id"], state(row["severity"]), state(row["state"]), row["computing_site"], row["title"])
            for row in document["inhibits"]
        ]
        terminal.print(table((">id", "severity", "state", "queue", "~what"), below))
    if document["silences"]:
        terminal.print(heading("silences"))
        terminal.print(silence_table(document["silences"], of_one=True))
    if document["previous"]:
        terminal.print(heading("it was here before"))
        previous = [
            (row["incident_id"], age(row["last_seen"]), row["job_count"], row["owner"], row["resolution"])
            for row in document["previous"]
        ]
        terminal.print(table((">id", ">ago", ">jobs", "owner", "~what ended it"), previous))
    if document["links"]:
        terminal.print(heading("merges and splits"))
        terminal.print(table((">link", "what", "who", ">age", "~why"), [_link(link) for link in document["links"]]))
    if document["deeds"]:
        terminal.print(heading("done about it"))
        terminal.print(deed_table(document["deeds"]))


def _link(link: Mapping[str, Any]) -> tuple[Any, ...]:
    if link["kind"] == "merge":
        what = f"incident {link['incident_id']} merged into {link['into_incident_id']}"
    else:
        part = f"{plain(link['dimension'])} {plain(link['value'])}"
        what = f"{part} split off incident {link['incident_id']} as {link['into_incident_id']}"
    undone = f" (undone by {plain(link['undone_by'])})" if link["undone_time"] else ""
    return link["link_id"], f"{what}{undone}", link["who"], age(link["time"]), link["comment"]


def _activity(terminal: Console, entries: list[dict[str, Any]]) -> None:
    if entries:
        terminal.print(heading("history"))
    if len(entries) > _MOST_ACTIVITY:
        terminal.print(Text(f"{len(entries) - _MOST_ACTIVITY} earlier entries: --json", style="dim"))
    for entry in entries[-_MOST_ACTIVITY:]:
        comment = f": {plain(entry['comment'])}" if entry["comment"] else ""
        words = f"{age(entry['time'])} ago  {plain(entry['who'])}  {plain(entry['action'])}{comment}"
        terminal.print(Text(words, style="dim"), soft_wrap=True)


def _next(terminal: Console, document: Mapping[str, Any]) -> None:
    row = document["incident"]
    number_ = row["incident_id"]
    said = []
    if row["sample_panda_id"]:
        said.append(f"panda logs {row['sample_panda_id']} --culprit")
    if row["state"] in ("open", "reopened"):
        said.append(f"panda incidents --ack {number_}")
    if row["state"] not in ("resolved", "candidate"):
        verdict = row["verdict"]
        if verdict == "site" and row["verdict_value"]:
            # whoever sends records names the queue: what is printed to be typed is one word of the shell
            said.append(f"panda act drain {shlex.quote(plain(row['verdict_value']))} --until 2h")
        elif verdict in ("task", "user") and row["job_count"]:
            said.append(f"panda act kill --incident {number_}")
    elif row["state"] == "resolved" and document["economics"]["residue"]:
        said.append(f"panda act retry --incident {number_}")
    if said:
        terminal.print(Text("\nnext: " + "\n      ".join(said), style="dim"), soft_wrap=True)
