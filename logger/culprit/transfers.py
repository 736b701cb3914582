"""The tools that move files, and the services that know where they are. Within a tool the special rows come first."""

from __future__ import annotations

from logger.culprit.pattern import row

PATTERNS = (
    row(
        "curl_http",
        ("curl: (",),
        r"^curl: \((?:22\) The requested URL returned error: (?:401|403)|(?:35|51|58|60|77|83)\) )",
        error_class="auth",
    ),
    row(
        "curl_missing", ("curl: (",), r"^curl: \(22\) The requested URL returned error: (?:404|410)", error_class="data"
    ),
    row("curl", ("curl: (",), r"^curl: \((?!23\))\d+\) ", error_class="network"),
    row("wget_auth", ("error 40",), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR 40[137]: ", error_class="auth"),
    row(
        "wget_network",
        ("wget: ", "error 5"),
        r"^wget: unable to resolve|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR 5\d\d: ",
        error_class="network",
    ),
    row("wget", ("wget: ", "error "), r"^wget: |^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR \d{3}: ", error_class="data"),
    row("gfal_missing", ("gfal",), r"\bgfal-\w+ error: 2 \(", "stage-in", "data"),
    row("gfal_auth", ("gfal",), r"\bgfal-\w+ error: (?:1|13) \(", error_class="auth"),
    row("gfal_exists", ("gfal",), r"\bgfal-\w+ error: 17 \(", "stage-out", "storage"),
    row(
        "gfal_space",
        ("gfal",),
        r"\bgfal-\w+ error: (?:28|122) \((?!.*local system call)",
        "stage-out",
        "storage",
    ),
    row("gfal_checksum", ("gfal",), r"\bgfal-\w+ error: .*(?i:checksum)", error_class="data"),
    row("gfal", ("gfal",), r"\bgfal-\w+ error|^gfal-\w+.*\b(?:error|fail)", error_class="storage"),
    row(
        "xrootd_auth",
        ("[error]", "[fatal]", "auth failed"),
        r"\[3010\] |Auth failed: No protocols left to try",
        error_class="auth",
    ),
    row(
        "xrdcp_space",
        ("[error]", "no space", "file system is full"),
        r"\[3009\]|no space (?:left )?on server|file system is full|\[ERROR\] .*[Qq]uota exceeded",
        "stage-out",
        "storage",
    ),
    row(
        "xrdcp_checksum",
        ("checksum",),
        r"\[ERROR\] (?:\w+ )?CheckSum error|[Cc]hecksum.*(?:differ|does not match)",
        error_class="data",
    ),
    row(
        "xrdcp_missing", ("[error]", "[fatal]"), r"\[3011\] .*[Nn]o such file(?!.*\(destination\))", "stage-in", "data"
    ),
    row(
        "xrdcp",
        ("[error]", "[fatal]", "xrdcp: "),
        r"^xrdcp: |^(?:Run: )?\[(?:ERROR|FATAL)\] "
        r"|\[(?:ERROR|FATAL)\] (?:Server responded with an error|Operation expired|Redirect limit|Socket error)"
        r"|^Error in <TNetXNG\w+::\w+>: \[(?:ERROR|FATAL)\]",
        error_class="storage",
    ),
    row(
        "davix_auth",
        ("davix",),
        r"^(?:davix-\w+: |\(Davix::HttpRequest\) Error: ).*\b(?:401|403)\b",
        error_class="auth",
    ),
    row("davix", ("davix",), r"^(?:davix-\w+: |\(Davix::HttpRequest\) Error: )", error_class="storage"),
    row(
        "rucio_service",
        ("rucio",),
        r"rucio\.common\.exception\.(?:ServiceUnavailable|DatabaseException|ServerConnectionException)"
        r"|\brucio\b.*\b50[23] ",
        error_class="central",
    ),
    row(
        "rucio_auth",
        ("rucio", "cannot authenticate to account"),
        r"rucio\.common\.exception\.(?:CannotAuthenticate|AccessDenied)|\bERROR\s+Cannot authenticate to account\b",
        error_class="auth",
    ),
    row(
        "rucio_replica",
        ("rucio", "data identifier not found"),
        r"rucio\.common\.exception\.(?:ReplicaNotFound|DataIdentifierNotFound|RSENotFound)"
        r"|\bERROR\s+Data identifier not found",
        "stage-in",
        "data",
    ),
    row(
        "rucio_space",
        ("rucio",),
        r"rucio\.common\.exception\.(?:InsufficientAccountLimit|RSEOverQuota|RSEWriteBlocked)",
        "stage-out",
        "storage",
    ),
    row(
        "rucio",
        ("rucio", "requested files have been downloaded"),
        r"\brucio\.common\.exception\.\w+: |\bERROR\s+None of the requested files have been downloaded",
        "stage-in",
        "data",
    ),
    row(
        "s3",
        ("an error occurred (", "s3error"),
        r"An error occurred \((?:NoSuchKey|NoSuchBucket|SlowDown|InternalError|RequestTimeout|404)\) when calling"
        r"|\bS3Error; code: ",
        error_class="data",
    ),
    row("globus", ("globus_",), r"\bglobus_\w+: ", error_class="storage"),
    row("srm", ("srm_",), r"\bSRM_(?!SUCCESS)[A-Z_]+", error_class="storage"),
    row(
        "fts_storage",
        ("transfer ", "destination "),
        r"\bDESTINATION (?:OVERWRITE|MAKE_PARENT)"
        r"|\bTRANSFER (?:ERROR|FAILED).*: .*(?:[Tt]imed? ?out|[Cc]onnect|[Cc]ommunication|HTTP 5\d\d)",
        error_class="storage",
    ),
    row(
        "fts",
        ("transfer ", "destination ", "source checksum"),
        r"\bTRANSFER (?:ERROR|FAILED).*:|\bDESTINATION (?:OVERWRITE|MAKE_PARENT|CHECKSUM)|\bSOURCE CHECKSUM",
        error_class="data",
    ),
    row(
        "checksum_mismatch",
        ("mismatch", " is not ", "checksum"),
        r"[Cc]ould not validate the checksum|computed checksums? did NOT match|[Cc]hecksum (?:validation|verification) failed"
        r"|\b(?:checksum|adler32|md5(?:sum)?|size) mismatch|\S: [0-9a-f]{8} is not [0-9a-f]{8}",
        error_class="data",
    ),
    row(
        "archive",
        (
            *("unexpected e", "not in gzip format", "does not look like a tar archive", "badzipfile", "badgzipfile"),
            *("compressed file ended", "zlib.error: ", "readerror: "),
        ),
        r"^(?:tar|gzip|unzip|bzip2|xz): .*(?:[Uu]nexpected (?:EOF|end of)|not in gzip format|not look like a tar archive)"
        r"|\bBad(?:Zip|Gzip)File\b|\bEOFError: Compressed file ended before|^[| ]*zlib\.error: Error -\d"
        r"|\btarfile\.ReadError: ",
        error_class="data",
        pick="first",
    ),
    row(
        "rsync_ssh",
        ("rsync", "scp: ", "ssh: ", "host key verification"),
        r"^rsync(?: error)?: |^(?:scp|ssh): |Host key verification failed",
        error_class="network",
    ),
)
