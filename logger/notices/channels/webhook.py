"""Notices as JSON to any HTTP receiver, signed when the route names a secret. Knows the shape of docs/notices.md."""

from __future__ import annotations

import hashlib
import hmac

import orjson

from core.incident_settings import NoticeSettings
from core.tracing import outgoing
from logger.notices.channels.http import post
from logger.notices.message import Item, Message, Outcome, incident_document
from logger.notices.texts import subject


class WebhookChannel:
    """POST of one message."""

    most_changes = 1000

    def __init__(self, settings: NoticeSettings) -> None:
        self._settings = settings

    def send(self, message: Message, secret: str) -> Outcome:
        """Post the message; `secret` signs its body."""
        body = orjson.dumps(document(message), default=str)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "pandascope",
            "X-Panda-Notice-Id": message.message_id,
            **({"X-Panda-Signature": signature(body, secret)} if secret else {}),
            **outgoing(),
        }
        return post(
            message.route["target"],
            body,
            headers,
            timeout_s=self._settings.timeout_s,
            allow_private=self._settings.allow_private,
        )


def signature(body: bytes, secret: str) -> str:
    """What the receiver compares: sha256=<HMAC of the body as it came>."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def document(message: Message) -> dict[str, object]:
    """The message as receivers get it."""
    return {
        "version": 1,
        "message_id": message.message_id,
        "notice_ids": [item.notice_id for item in message.items],
        "route": message.route["name"],
        "time": message.time,
        "is_test": not message.items,
        "is_late": message.is_late,
        "subject": subject(message),
        "changes": [_change(message, item) for item in message.items],
    }


def _change(message: Message, item: Item) -> dict[str, object]:
    incident = item.incident
    return {
        "notice_id": item.notice_id,
        "change": item.what,
        "time": item.time,
        "who": item.who,
        "reason": item.reason,
        "incident": incident_document(incident),
        "verdict": {"verdict": incident["verdict"], "value": incident["verdict_value"]}
        if incident["verdict"]
        else None,
        "culprit_line": incident["culprit_line"],
        "url": message.url_of(incident["incident_id"]),
    }
