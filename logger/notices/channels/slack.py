"""Notices to chat rooms that take Slack's JSON (Slack, Mattermost, Rocket.Chat). Knows its mark-up and its limits."""

from __future__ import annotations

import re

import orjson

from core.incident_settings import NoticeSettings
from logger.notices.channels.http import post
from logger.notices.message import Message, Outcome
from logger.notices.texts import lines, subject
from logger.texts import one_line, slack_safe

_MOST_BLOCKS = 45
"""Slack takes 50."""
_LONGEST_BLOCK = 2900
"""Slack takes 3000."""


class SlackChannel:
    """POST to an incoming webhook. Its address is a secret: a route may leave it out and name one instead."""

    most_changes = 200

    def __init__(self, settings: NoticeSettings) -> None:
        self._settings = settings

    def send(self, message: Message, secret: str) -> Outcome:
        """Post the message to the route's address, or to the one that is its secret."""
        body = orjson.dumps(document(message))
        headers = {"Content-Type": "application/json", "User-Agent": "pandascope"}
        address = message.route["target"] or secret
        return post(
            address, body, headers, timeout_s=self._settings.timeout_s, allow_private=self._settings.allow_private
        )


def document(message: Message) -> dict[str, object]:
    """The message as Slack wants it: plain text for notifications, and sections. Nothing in it mentions anybody."""
    title = _quoted(subject(message))
    sections = [f"*{title}*"]
    if not message.items:
        sections.append(f"{_quoted(one_line(message.tested_by, 100))} pressed the test button.")
    for incident_id, headline, details in lines(message):
        link = f"<{message.url_of(incident_id)}|{_quoted(headline).replace('|', '¦')}>"
        sections.append(f"{link}\n{_quoted(details)}")
    return {"text": title, "blocks": [_section(text) for text in _packed(sections)]}


_MARK_UP = re.compile(r"([*_~`]|(?<=\])\(|(?<=!)\[)")
_MENTION = re.compile(r"(?<!\w)@")
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")


def _quoted(text: str) -> str:
    """What others wrote, so that it stays text: a space of no width parts the signs of mark-up (Slack's *bold*, _italic_,
    ~struck~, `code`; Markdown's [links](to) and ![images], which Mattermost and Rocket.Chat read), mentions and addresses."""
    quoted = _MARK_UP.sub("\u200b\\1", slack_safe(text))
    return _ADDRESS.sub("\\1\u200b", _MENTION.sub("@\u200b", quoted))


def _packed(sections: list[str]) -> list[str]:
    """Sections joined into as many blocks as Slack takes, each as long as it takes."""
    blocks: list[str] = []
    for section in sections:
        text = section if len(section) <= _LONGEST_BLOCK else _cut(section)
        if len(blocks) > _MOST_BLOCKS // 3 and len(blocks[-1]) + len(text) + 2 <= _LONGEST_BLOCK:
            blocks[-1] = f"{blocks[-1]}\n{text}"
        elif len(blocks) < _MOST_BLOCKS:
            blocks.append(text)
        elif not blocks[-1].endswith("…"):
            blocks[-1] = f"{blocks[-1]}\n…"
    return blocks


def _cut(section: str) -> str:
    """Cut at the end of a line, so that no escape and no link is torn."""
    return section[:_LONGEST_BLOCK].rpartition("\n")[0] or section[: section.find("\n")]


def _section(text: str) -> dict[str, object]:
    # verbatim: Slack makes no links and mentions of its own
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
