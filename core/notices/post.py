"""Gives one letter to an SMTP server and says what is known of it afterwards. Knows no table."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

_TIMEOUT_S = 20.0
_PORT = 25
_PERMANENT = 500


class NotNow(Exception):
    """The server did not take the letter, and may later."""


class NotEver(Exception):
    """The server refused the letter for good."""


class NotKnown(Exception):
    """The connection broke after the letter was given: it may have been taken."""


def post(server: str, message: EmailMessage) -> None:
    """Hand the letter to `server` (host or host:port). Raises NotNow, NotEver or NotKnown."""
    host, _, port = server.rpartition(":") if server.rpartition(":")[2].isdecimal() else (server, "", "")
    try:
        with smtplib.SMTP(host.strip("[]"), int(port or _PORT), timeout=_TIMEOUT_S) as client:
            client.ehlo_or_helo_if_needed()
            _check(*client.mail(str(message["From"])))
            _check(*client.rcpt(str(message["To"])))
            _give(client, message)
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # a name of a server or a sender that cannot be, as well: whoever mends the settings finds the letters waiting
        raise NotNow(f"{type(error).__name__}: {error}") from error


def _give(client: smtplib.SMTP, message: EmailMessage) -> None:
    try:
        _check(*client.data(message.as_bytes()))
    except smtplib.SMTPDataError as error:  # refused before it was given
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        raise NotKnown(f"{type(error).__name__}: {error}") from error


def _check(code: int, answer: bytes) -> None:
    if code >= 400:
        raise _refusal(code, answer)


def _refusal(code: int, answer: bytes | str) -> NotNow | NotEver:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    kind = NotEver if code >= _PERMANENT else NotNow
    return kind(f"{code} {text}")
