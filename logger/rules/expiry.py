"""The rule for what expires: certificates that the settings name, and tokens of those who send records."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from core.database import Row
from logger.events import Kind, Severity
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import ExpiryParameters
from logger.rules.words import span

log = logging.getLogger("panda.rules")

_EVERY = timedelta(hours=1)
_TIMEOUT_S = 3.0
_DAY_S = 86_400.0

# ix_log_sources_seen; tokens of one sender are told by its newest. What was measured earlier (watch_samples by primary key)
# tells a token that somebody must renew from one that lives for hours and is renewed by itself
_TOKENS = """
SELECT s.emitter, s.token_expiry, s.host, s.component, coalesce((
    SELECT max(value) FROM watch_samples w WHERE w.rule_name = %(rule)s AND w.bin_time >= %(month_ago)s
      AND w.subject = 'token of ' || s.emitter), 0) AS most_days
FROM (
    SELECT DISTINCT ON (emitter) emitter, token_expiry, host, component FROM log_sources
    WHERE last_seen >= %(since)s AND token_expiry IS NOT NULL ORDER BY emitter, token_expiry DESC
) s ORDER BY s.token_expiry LIMIT 1000
"""


class Expiry(MeasureRule[ExpiryParameters]):
    """One trouble per certificate or sender; worse when only `critical_days` are left.

    Certificates are looked at once an hour in a thread of their own, without asking who signed them: of one that cannot
    be read nothing is said but a line in the log. A token that never had more than `token_hours` left is a short-lived
    one that its owner renews, and no trouble.
    """

    name = "expiry"
    kind: Kind = "service"
    sentence = "A certificate or a token that is in use expires soon."
    model = ExpiryParameters
    unit = "days"
    is_low = True

    def __init__(self, start: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._start = start or _in_a_thread
        self._ends: dict[str, datetime] = {}
        self._next: datetime | None = None

    def measure(self, look: Look, parameters: ExpiryParameters) -> list[Measurement]:
        """Days left of each certificate and token."""
        wanted = list(look.settings.watch_certificates)
        if wanted and (self._next is None or look.now >= self._next):
            self._next = look.now + _EVERY
            self._start(lambda: self._read(wanted))
        found = [
            _measurement(
                f"certificate {name}", end, look.now, parameters.limit_days, parameters, Facts(component="tls")
            )
            for name, end in sorted(self._ends.items())
            if name in wanted
        ]
        values = {"rule": self.name, "since": look.now - _EVERY, "month_ago": look.now - timedelta(days=30)}
        tokens = look.transaction.fetch(_TOKENS, values)
        return [*found, *(_of_token(row, look.now, parameters) for row in tokens)]

    def limit(self, parameters: ExpiryParameters, subject: str, usual: float) -> float:
        """Days for certificates, hours for tokens."""
        return parameters.limit_days if subject.startswith("certificate ") else parameters.token_hours / 24

    def _read(self, wanted: Sequence[str]) -> None:
        for name in wanted:
            try:
                self._ends[name] = certificate_end(name)
            except (OSError, ValueError) as error:
                log.warning("the certificate %s cannot be looked at: %s", name, error, extra={"component": "incidents"})


def certificate_end(name: str) -> datetime:
    """When a certificate expires: that of the server at `host:port`, or the first to expire of a PEM file.

    Raises OSError and ValueError when it cannot be read.
    """
    if name.startswith(("/", ".")):
        return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(Path(name).read_bytes()))
    host, _, port = name.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its end is looked at, nothing is told to it
    with (
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S) as connection,
        context.wrap_socket(connection, server_hostname=host.strip("[]")) as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"").not_valid_after_utc


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="certificates", daemon=True).start()


def _of_token(row: Row, now: datetime, parameters: ExpiryParameters) -> Measurement:
    limit_days = parameters.token_hours / 24
    facts = Facts(component=row["component"], host=row["host"], user_name=row["emitter"], error_class="auth")
    is_renewed_by_hand = row["most_days"] > limit_days
    return _measurement(
        f"token of {row['emitter']}", row["token_expiry"], now, limit_days, parameters, facts, is_renewed_by_hand
    )


def _measurement(
    name: str,
    end: datetime,
    now: datetime,
    limit_days: float,
    parameters: ExpiryParameters,
    facts: Facts,
    may_open: bool = True,
) -> Measurement:
    left_s = (end - now).total_seconds()
    says = f"expires in {span(left_s)}" if left_s > 0 else "has expired"
    is_critical = left_s <= min(parameters.critical_days, limit_days / 2) * _DAY_S
    severity: Severity | None = "critical" if is_critical else None
    return Measurement(
        subject=name,
        value=left_s / _DAY_S,
        limit=limit_days,
        title=f"The {name} {says}, {end:%Y-%m-%d %H:%M} UTC",
        grouping=f"It is the {name}.",
        note=f"{name} {says}",
        facts=facts,
        severity=severity,
        may_open=may_open,
    )
