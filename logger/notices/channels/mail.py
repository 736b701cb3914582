"""Notices by mail, through the SMTP server that owners of tasks get theirs from. Knows headers, no table."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from core.notices.post import Door, NotEver, NotKnown, NotNow, post
from core.workload_settings import MailSettings
from logger.notices.message import Known, Message, Outcome
from logger.notices.texts import body, subject
from logger.texts import header_safe, one_line


class MailChannel:
    """One letter for one message."""

    most_changes = 1000

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def send(self, message: Message, secret: str) -> Outcome:
        """Hand the letter to the server. `secret` is not used: the server's password stands in [mail]."""
        if not self._settings.server:
            return Outcome(Known.NOT_NOW, "no mail server is set ([mail] server)")
        door = Door(self._settings.server, self._settings.tls, self._settings.user, self._settings.password)
        try:
            post(door, letter(message, self._settings.sender))
        except NotNow as error:
            return Outcome(Known.NOT_NOW, one_line(str(error), 300))
        except NotEver as error:
            return Outcome(Known.NEVER, one_line(str(error), 300))
        except NotKnown as error:
            return Outcome(Known.UNKNOWN, one_line(f"no answer after it was sent: {error}", 300))
        return Outcome(Known.TAKEN, "250 taken", 250)


def letter(message: Message, sender: str) -> EmailMessage:
    """The letter in plain text."""
    found = EmailMessage()
    domain = parseaddr(sender)[1].rpartition("@")[2] or "pandascope.invalid"
    found["Subject"] = header_safe(subject(message))
    found["From"] = sender
    found["To"] = message.route["target"]
    found["Date"] = format_datetime(message.time)
    # the same for every attempt of one message: mail programs show it once
    found["Message-ID"] = f"<notice-{message.message_id}@{header_safe(domain, 200)}>"
    found["Auto-Submitted"] = "auto-generated"
    found.set_content(body(message))
    return found
