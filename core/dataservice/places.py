"""Where a file lies at a deterministic storage endpoint: scope and name alone say it. Knows no table and no storage.

The rule is Rucio's, and the one the production pilot computes by itself (pilot-wire.md 4): the parts of the scope as
directories, two directories from md5("scope:lfn"), the name. It stands here twice, for Python and for statements over many
rows; a test compares the two.
"""

from __future__ import annotations

import hashlib

SQL_DETERMINISTIC_PATH = """concat_ws('/',
    nullif(btrim(regexp_replace({scope}, '[./]+', '/', 'g'), '/'), ''),
    substr(md5({scope} || ':' || {lfn}), 1, 2), substr(md5({scope} || ':' || {lfn}), 3, 2), {lfn})"""
"""`deterministic_path` as SQL; `{scope}` and `{lfn}` are filled with names of columns, never with values."""


def deterministic_path(scope: str, lfn: str) -> str:
    """The path of a file below the directory of its endpoint, without a slash at the beginning.

    No scope can lead out of that directory: its dots separate directories, so that no part of it is `..`. The name is
    checked where files are registered (core.names).
    """
    digest = hashlib.md5(f"{scope}:{lfn}".encode(), usedforsecurity=False).hexdigest()
    parts = [part for part in scope.replace(".", "/").split("/") if part]
    return "/".join([*parts, digest[:2], digest[2:4], lfn])


def place(endpoint_path: str, scope: str, lfn: str) -> str:
    """The absolute path of a file at a deterministic endpoint whose directory is `endpoint_path`."""
    return f"{endpoint_path.rstrip('/')}/{deterministic_path(scope, lfn)}"
