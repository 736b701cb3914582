"""What people decide of one incident, from the options of `panda incidents` to the calls of the client, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import number_of
from pandascope.cli.rendering import plain, state
from pandascope.cli.silences import silence_words
from pandascope.cli.until import moment_of, silence_end
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import Client


@dataclass(frozen=True)
class Change:
    """One command's changes: the client and what was said beside the incidents."""

    client: Client
    comment: str
    until: str | None
    ending: str
    by: str | None
    severity: str
    queue: str
    task: str | None

    def carry_out(self, name: str, word: str) -> dict[str, Any]:
        """Do one; the row of the incident, with the silence or link that was made. Raises Usage for words that say nothing."""
        doing: dict[str, Callable[[str], dict[str, Any]]] = {
            "assign": self._assign,
            "silence": self._silence,
            "rate": self._rate,
            "link": self._link,
            "merge": self._merge,
            "split": self._split,
            "unlink": lambda link: _with_link(self.client.undo_link(number_of(link, "link"))),
            "open": self._open,
            "resolve": lambda one: self.client.resolve(_id(one), self.comment, reason=self.ending),
            "acknowledge": lambda one: self.client.acknowledge(_id(one), self.comment),
            "reopen": lambda one: self.client.reopen(_id(one), self.comment),
            "comment": lambda one: self.client.comment(_id(one), self.comment),
            "hold": lambda one: self.client.hold(_id(one), self.comment),
            "release": lambda one: self.client.release(_id(one), self.comment),
        }
        return doing[name](word)

    def _assign(self, word: str) -> dict[str, Any]:
        incident_id, who = _pair(word, "--assign", "ID=NAME, as in 17=ann")
        return self.client.assign(incident_id, who, self.comment)

    def _rate(self, word: str) -> dict[str, Any]:
        incident_id, severity = _pair(word, "--rate", "ID=LEVEL, as in 17=warning")
        return self.client.set_severity(incident_id, severity, self.comment)

    def _link(self, word: str) -> dict[str, Any]:
        """Add a link to those there are; said again it stays one."""
        incident_id, address = _pair(word, "--link", "ID=URL, as in 17=https://tickets.example.org/5")
        present = self.client.incident(incident_id)["incident"]["links"] or []
        links = [link for link in present if link["url"] != address]
        return self.client.set_links(incident_id, [*links, {"title": self.comment[:200], "url": address}])

    def _silence(self, word: str) -> dict[str, Any]:
        kind, end = silence_end(self.until)
        answer = self.client.silence_incident(_id(word), kind, moment_of(end), self.comment)
        return {**answer["incident"], "silence": answer["silence"]}

    def _merge(self, word: str) -> dict[str, Any]:
        incident_id, into = _pair(word, "--merge", "A=B: all of A goes into B")
        return _with_link(self.client.merge_incident(incident_id, _id(into), self.comment))

    def _split(self, word: str) -> dict[str, Any]:
        dimension, equals, value = (self.by or "").partition("=")
        if not equals or not dimension or not value:
            raise Usage(f"'{self.by}' names no part", field="--by", remedy="--by DIM=VALUE, as in computing_site=CERN")
        return _with_link(self.client.split_incident(_id(word), dimension.replace("-", "_"), value, self.comment))

    def _open(self, title: str) -> dict[str, Any]:
        task = number_of(self.task, "task") if self.task else None
        return self.client.open_incident(title, severity=self.severity, queue=self.queue, task=task, text=self.comment)


def told(terminal: Console, rows: list[dict[str, Any]]) -> None:
    """What became of the incidents, and what takes it back."""
    for row in rows:
        whose = f" with {plain(row['owner'])}" if row["owner"] else ""
        asked = f", {plain(row['assigned_to'])} is asked" if row["assigned_to"] else ""
        held = f", held by {plain(row['held_by'])}" if row["held_by"] and row["state"] != "silenced" else ""
        named = (f"incident {row['incident_id']} is ", state(row["state"]), ", ", state(row["severity"]))
        line = Text.assemble(*named, f"{whose}{asked}{held}: ")
        terminal.print(line + plain(row["title"]), soft_wrap=True)
        if "silence" in row:
            silence = row["silence"]
            terminal.print(f"  {silence_words(silence)}; `panda silences end {silence['silence_id']}` ends it before")
        link = row.get("link")
        if link and not link["undone_time"]:
            terminal.print(f"  `panda incidents --undo-link {link['link_id']}` takes this {plain(link['kind'])} back")


def _with_link(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer["incident"], "link": answer["link"]}


def _id(word: str) -> int:
    return number_of(word.strip(), "incident")


def _pair(word: str, option: str, example: str) -> tuple[int, str]:
    """`17=words` as the incident and the words. Raises Usage."""
    number, equals, rest = word.partition("=")
    if not equals:
        raise Usage(f"'{word}' is no pair", field=option, remedy=f"write {example}")
    return _id(number), rest.strip()
