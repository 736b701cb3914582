"""Gives one letter to an SMTP server and says what is known of it afterwards. Knows no table."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage

_TIMEOUT_S = 20.0
_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_PERMANENT = 500
_OURSELVES = ("localhost", "127.0.0.1", "::1")


class NotNow(Exception):
    """The server did not take the letter, and may later."""


class NotEver(Exception):
    """The server refused the letter for good."""


class NotKnown(Exception):
    """The connection broke after the letter was given: it may have been taken."""


@dataclass(frozen=True)
class Door:
    """A mail server as it is reached. `server`: host or host:port; `tls`: none, starttls or tls (from the first byte);
    `user`: who logs in, empty for nobody."""

    server: str
    tls: str = "none"
    user: str = ""
    password: str = ""


def post(door: Door, message: EmailMessage) -> None:
    """Hand the letter to the server. Raises NotNow, NotEver or NotKnown. A password never travels in the clear: without
    TLS nobody logs in but at this machine itself."""
    try:
        with _reached(door) as client:
            _check(*client.mail(str(message["From"])))
            _check(*client.rcpt(str(message["To"])))
            _give(client, message)
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # a name of a server or a sender that cannot be, as well: whoever mends the settings finds the letters waiting
        raise NotNow(f"{type(error).__name__}: {error}") from error


def _reached(door: Door) -> smtplib.SMTP:
    """A connection that is greeted, secured and logged in, as the door says."""
    server = door.server
    host, _, port = server.rpartition(":") if server.rpartition(":")[2].isdecimal() else (server, "", "")
    host, number = host.strip("[]"), int(port or _PORTS[door.tls])
    if door.user and door.tls == "none" and host not in _OURSELVES:
        raise NotNow("a password is sent over TLS only: set [mail] tls to starttls or tls")
    if door.tls == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(host, number, timeout=_TIMEOUT_S, context=ssl.create_default_context())
    else:
        client = smtplib.SMTP(host, number, timeout=_TIMEOUT_S)
    try:
        if door.tls == "starttls":
            client.starttls(context=ssl.create_default_context())
        client.ehlo_or_helo_if_needed()
        if door.user:
            _log_in(client, door)
    except BaseException:
        client.close()
        raise
    return client


def _log_in(client: smtplib.SMTP, door: Door) -> None:
    try:
        client.login(door.user, door.password)
    except smtplib.SMTPAuthenticationError as error:  # whoever mends the settings finds the letters waiting
        raise NotNow(f"{error.smtp_code}: the mail server does not take [mail] user and password") from error


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
