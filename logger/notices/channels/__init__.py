"""The ways to tell people, by the name that a route gives; a further one is a file here and a line below."""

from __future__ import annotations

from core.configuration import Settings
from logger.notices.channels.mail import MailChannel
from logger.notices.channels.slack import SlackChannel
from logger.notices.channels.webhook import WebhookChannel
from logger.notices.message import Channel


def channels_of(settings: Settings) -> dict[str, Channel]:
    """Every channel of this installation."""
    return {
        "webhook": WebhookChannel(settings.notices),
        "slack": SlackChannel(settings.notices),
        "mail": MailChannel(settings.mail),
    }
