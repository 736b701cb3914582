"""A PostgreSQL of the distribution, for what has to work on a database of one's own: started here, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.missing import skip_or_fail

OLDEST = 15
"""The oldest major version that pandascope supports."""
_ACCOUNT = "postgres"


@contextmanager
def installed_postgres() -> Iterator[str]:
    """URL of an empty database `panda` on the oldest supported server that is installed; skips when there is none."""
    programs = _programs()
    directory = Path(tempfile.mkdtemp(prefix="panda-own-"))
    cluster = directory / "cluster"
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, _ACCOUNT, _ACCOUNT)
        _run(programs / "initdb", "--auth=trust", "--username=panda", "--encoding=UTF8", "--locale=C", "-D", cluster)
        options = f"-c listen_addresses= -c unix_socket_directories={directory} -c max_connections=100 -c fsync=off"
        log = directory / "server.log"
        _run(programs / "pg_ctl", "start", "--wait", "-D", cluster, "-l", log, "-o", options)
        try:
            _run(programs / "createdb", "--host", directory, "--username=panda", "panda")
            yield f"postgresql+psycopg2://panda@/panda?host={directory}"
        finally:
            _run(programs / "pg_ctl", "stop", "--wait", "--mode=immediate", "-D", cluster)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> Path:
    """Where the server's programs are: one folder for each major version, as Debian and its kin install them."""
    found = {
        int(path.parent.parent.name): path.parent for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")
    }
    suitable = sorted(major for major in found if major >= OLDEST)
    if not suitable:
        skip_or_fail(f"no PostgreSQL {OLDEST} or later is installed beside the embedded one")
    return found[suitable[0]]


def _run(*words: str | Path) -> None:
    """Run a program of the server; by root as the distribution's account, because the server refuses root."""
    account = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [str(word) for word in words]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **account)
