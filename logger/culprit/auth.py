"""Certificates, proxies and tokens that are no good. Before the transfer tools: they carry such words inside theirs."""

from __future__ import annotations

from logger.culprit.pattern import row

PATTERNS = (
    row(
        "certificate_expired",
        ("certificate", "crl has expired"),
        r"certificate (?:has )?expired|CERTIFICATE_VERIFY_FAILED|CRL has expired",
        error_class="auth",
    ),
    row(
        "proxy_expired",
        ("proxy", "credential"),
        r"(?i:proxy|credentials?) (?:has |have |is |are )?(?i:expired)|\b(?i:the proxy of) .* has expired\b"
        r"|voms-proxy-\w+: .*(?:not (?:found|valid)|[Cc]ouldn't find)",
        error_class="auth",
    ),
    row(
        "s3_auth",
        ("an error occurred (",),
        r"An error occurred \((?:AccessDenied|ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|403)\)",
        error_class="auth",
    ),
    row(
        "token_expired",
        ("token", "unauthorized", "expiredsignatureerror", "ticket expired"),
        r"(?i:\bticket expired)|[Tt]oken (?:has |is )?expired|\binvalid_token\b|401 Unauthorized|\bExpiredSignatureError\b",
        error_class="auth",
    ),
)
