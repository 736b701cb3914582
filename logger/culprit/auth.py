"""Certificates, proxies and tokens that are no good. Before the transfer tools: they carry such words inside theirs."""

from __future__ import annotations

from logger.culprit.pattern import refinement, row

PATTERNS = (
    row(
        "certificate_expired",
        ("certificate", "crl has expired"),
        r"certificate (?:has )?expired|CERTIFICATE_VERIFY_FAILED|CRL has expired",
        error_class="auth",
    ),
    row(
        "proxy_expired",
        ("proxy", "credential", "x509up_u", "voms", "ac has expired", "ac validity"),
        r"(?i:proxy|credentials?) (?:has |have |is |are )?(?i:expired)|\b(?i:the proxy of) .* has expired\b"
        r"|voms-proxy-\w+: .*(?:not (?:found|valid)|[Cc]ouldn't find)|VOMS extension of the proxy not valid"
        r"|\bAC (?:validity )?has expired|/x509up_u\w+: No such file or directory|(?i:\bno valid (?:proxy|credentials?)\b)",
        error_class="auth",
    ),
    row(
        "s3_auth",
        ("an error occurred (",),
        r"An error occurred \((?:AccessDenied|ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|403)\)",
        error_class="auth",
    ),
    row(
        "ssh_auth",
        ("permission denied (",),
        r"Permission denied \((?:publickey|password|gssapi|keyboard|hostbased)",
        error_class="auth",
    ),
    refinement(
        "python_auth",
        ("httperror", "httpstatuserror", "responseerror"),
        r"^[| ]*(?:requests|urllib|httpx|aiohttp)\.[\w.]*Error: (?:HTTP Error |Client error ')?40[13]\b",
        error_class="auth",
    ),
    row(
        "token_expired",
        ("token", "invalid_grant", "unauthorized", "expiredsignatureerror", "ticket expired"),
        r"(?i:\bticket expired)|[Tt]oken (?:has |is )?expired|\binvalid_(?:token|grant)\b|401 Unauthorized"
        r"|\bExpiredSignatureError\b",
        error_class="auth",
    ),
)
