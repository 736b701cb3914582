"""The embedded PostgreSQL: one server per data directory, shared by every process that asks for it.

Starts, finds, recovers and stops the server; knows nothing of tables. The server listens on a unix socket only, in a
directory that nobody else can enter, and belongs to no process: it lives until `stop()`.

Two locks guard a data directory. `postgres.starting` serialises the callers of `start` and `stop`. `postgres.alive` is
held by the server's own processes, which inherit its descriptor: as long as one of them lives, orphaned backends and
servers of another container included, the kernel says so, whatever the files claim.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2 import sql

from core.configuration import make_data_directory
from core.database.server_tree import (
    ENVIRONMENT,
    MAJOR,
    Account,
    EmbeddedPostgresError,
    account_for,
    check_reachable,
    installed_version,
    programs_for,
)

ROLE = DATABASE = "panda"

# PostgreSQL's advice against syncfs is for kernels before this one: their call does not tell of errors.
_KERNEL = re.match(r"(\d+)\.(\d+)", os.uname().release) if sys.platform == "linux" else None
_SYNCS_AT_ONCE = _KERNEL is not None and (int(_KERNEL[1]), int(_KERNEL[2])) >= (5, 8)

# What the job needs, written to panda.conf at every start. `ALTER SYSTEM` overrides any of it for one installation.
SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",  # the socket is the only door
    "unix_socket_permissions": "0700",
    "max_connections": "300",  # (API workers + agents) x (pool + overflow), with room for psql and pgbench
    "shared_buffers": "256MB",  # the hot set is the live tables; the archive is left to the file cache
    "effective_cache_size": "1GB",
    "work_mem": "16MB",  # facets sort and hash whole windows
    "maintenance_work_mem": "128MB",
    "fsync": "on",  # a reported end of a job must survive a power cut
    "synchronous_commit": "on",
    "wal_compression": "pglz",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    # after a crash every file is synced first: one by one that takes minutes on a busy disk
    "recovery_init_sync_method": "syncfs" if _SYNCS_AT_ONCE else "fsync",
    "max_wal_size": "2GB",  # a checkpoint by time, not by every burst of submissions
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # short statements: compiling costs more than it saves
    "autovacuum_naptime": "10s",  # live tables turn over completely within minutes
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "2000",
    "max_locks_per_transaction": "256",  # one per partition in a query over long windows
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %a '",
    "log_lock_waits": "on",
    "log_min_duration_statement": "2s",
}

_PORT = 5432  # only a part of the socket's file name
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_LIMIT = 103 if os.uname().sysname == "Darwin" else 107
_START_TIMEOUT_S, _FAST_STOP_S, _IMMEDIATE_STOP_S, _LEFTOVER_GRACE_S = 300.0, 30.0, 10.0, 1.0


class EmbeddedPostgres:
    """The server of one data directory. Cheap to make: nothing happens before a method is called."""

    def __init__(self, data: Path | str, *, settings: Mapping[str, str] | None = None) -> None:
        """`data`: the installation's data directory. `settings`: server settings that replace ours (for tests)."""
        self.data = Path(data).expanduser().resolve()
        self.cluster = self.data / "postgres"
        self.log = self.data / "logs" / "postgres.log"
        self._settings = {**SERVER_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database; right as long as the server runs."""
        host = quote(str(self.socket_directory), safe="/")
        return f"postgresql+psycopg2://{ROLE}@/{DATABASE}?host={host}"

    @property
    def socket_directory(self) -> Path:
        """Where the socket is: the cluster itself, or a short private directory when that path is too long."""
        if len(os.fsencode(self.cluster / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT:
            return self.cluster
        pointer = self._short_directory_pointer
        return Path(pointer.read_text().strip()) if pointer.exists() else self.cluster

    @property
    def _short_directory_pointer(self) -> Path:
        return self.data / "postgres.socket"

    def start(self) -> str:
        """Start the server, or find it running, and return its URL when it answers.

        Raises EmbeddedPostgresError: the directory is of another PostgreSQL or not ours, cannot be reached or written,
        or the disk is full.
        """
        with _explained(self.data), self._starting():
            account = account_for(self.data, self.cluster)
            running = self._postmaster()
            # A server found may be dying of a signal just now; then it is one more leftover.
            if running is None or not self._becomes_ready(running):
                check_reachable(account, self.data)
                programs = programs_for(account, self.data)
                self._initialise(account, programs)
                self._clear_leftovers()
                if not self._becomes_ready(self._launch(account, programs)):
                    raise _failure("PostgreSQL ended while starting", _tail(self.log), self.data)
            self._make_database()
            return self.url

    def is_running(self) -> bool:
        """Whether the server runs and answers."""
        return self._postmaster() is not None and self._ping() is None

    @property
    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        running = self._postmaster()
        return running.pid if running else None

    def exit_code(self) -> int | None:
        """If this object started the server and it has ended: its exit code, or minus the signal that killed it."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Stop the server and wait until the last of its processes is gone. Does nothing when none runs."""
        if not self.data.is_dir():
            return
        with _explained(self.data), self._starting():
            for number, limit_s in ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _IMMEDIATE_STOP_S)):
                running = self._postmaster()
                if running is None:
                    break
                with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                    running.send_signal(number)
                    running.wait(limit_s)
            self._clear_leftovers()
            self._remove_short_directory()

    # ---- files and locks

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """One caller at a time makes, starts or stops the server of this directory."""
        make_data_directory(self.data)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        with _open_private(self.data / "postgres.starting") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialise(self, account: Account, programs: Path) -> None:
        """Make the cluster if there is none; refuse one of another version."""
        version_file = self.cluster / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != str(MAJOR):
                raise EmbeddedPostgresError(
                    f"{self.cluster} was made by PostgreSQL {found}; the embedded one is {installed_version(programs)}",
                    field="data",
                    remedy=f"choose another directory with --data, or bring the data over: pg_dumpall with PostgreSQL "
                    f"{found}, move {self.cluster} away, start, and load the dump with psql",
                )
        elif self.cluster.exists() and any(self.cluster.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.cluster} is not empty and no PostgreSQL data directory",
                field="data",
                remedy="choose another directory with --data, or move those files away",
            )
        else:
            self._make_cluster(account, programs)
        self._write_settings(account)

    def _make_cluster(self, account: Account, programs: Path) -> None:
        # Made under another name and renamed when whole: a cluster killed half-way never looks like one.
        unfinished = self.cluster.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, account.uid, account.gid)
        where = ["--pgdata", str(unfinished), "--username", ROLE, "--auth=trust", "--no-instructions"]
        text = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        said = account.run(programs / "initdb", *where, *text)
        if said.returncode != 0:
            raise _failure("the database could not be created", said.stderr or said.stdout, self.data)
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists = 'panda.conf'  # rewritten at every start\n")
        if self.cluster.exists():
            self.cluster.rmdir()
        unfinished.rename(self.cluster)

    def _write_settings(self, account: Account) -> None:
        path = self.cluster / "panda.conf"
        lines = [f"{name} = {value}\n" for name, value in self._settings.items()]
        path.write_text("# Written at every start; use ALTER SYSTEM to change a setting for good.\n" + "".join(lines))
        os.chown(path, account.uid, account.gid)

    def _clear_leftovers(self) -> None:
        """Make sure that no process of a dead server is left, then remove the files that only claim there is one."""
        deadline = time.monotonic() + _IMMEDIATE_STOP_S
        hard = signal.SIGQUIT
        while self._alive_lock_is_held():
            for process in self._backends():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(hard)
            if time.monotonic() > deadline and hard == signal.SIGKILL:
                raise EmbeddedPostgresError(
                    f"another PostgreSQL uses {self.cluster}, and none of its processes is visible from here",
                    field="data",
                    remedy="stop it where it runs (in another container?), or choose another directory with --data",
                )
            if time.monotonic() > deadline - _IMMEDIATE_STOP_S + _LEFTOVER_GRACE_S:
                hard = signal.SIGKILL
            time.sleep(0.05)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        for name in (_SOCKET_NAME, _SOCKET_NAME + ".lock"):
            (self.socket_directory / name).unlink(missing_ok=True)

    def _alive_lock_is_held(self) -> bool:
        path = self.data / "postgres.alive"
        if not path.exists():
            return False
        with _open_private(path) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _make_short_directory(self, account: Account) -> None:
        if len(os.fsencode(self.cluster / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT:
            return
        current = self.socket_directory
        if current != self.cluster and current.is_dir() and current.stat().st_uid == account.uid:
            return
        parents = [Path("/run")] if os.geteuid() == 0 else []
        for parent in [*parents, Path(tempfile.gettempdir()), Path("/tmp")]:
            if len(os.fsencode(parent)) < 60 and parent.is_dir() and os.access(parent, os.W_OK):
                made = Path(tempfile.mkdtemp(prefix="pandascope-", dir=parent))
                os.chown(made, account.uid, account.gid)
                self._short_directory_pointer.write_text(f"{made}\n")
                return
        raise EmbeddedPostgresError(
            f"{self.cluster} is too deep for a unix socket and no short directory for it can be made below /tmp",
            field="data",
            remedy="choose a shorter --data",
        )

    def _remove_short_directory(self) -> None:
        directory = self.socket_directory
        if directory != self.cluster:
            with suppress(FileNotFoundError):
                directory.rmdir()
        self._short_directory_pointer.unlink(missing_ok=True)

    # ---- processes

    def _postmaster(self) -> psutil.Process | None:
        """The running server: the process that postmaster.pid names, if it really is a server of this cluster."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            command = process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if alive and "-D" in command and str(self.cluster) in command else None

    def _backends(self) -> Iterator[psutil.Process]:
        """Every PostgreSQL process whose working directory is the cluster, as that of all of its backends is."""
        for process in psutil.process_iter():
            try:
                if process.name().startswith("postgres") and process.cwd() == str(self.cluster):
                    yield process
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

    def _launch(self, account: Account, programs: Path) -> psutil.Process:
        self._make_short_directory(account)
        command = [str(programs / "postgres"), "-D", str(self.cluster), "-k", str(self.socket_directory)]
        with _open_private(self.log) as log, _open_private(self.data / "postgres.alive") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)
            self._process = subprocess.Popen(
                [*command, "-p", str(_PORT)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[alive.fileno()],
                start_new_session=True,  # a signal to the caller's terminal or group is not one to the database
                **account.switch,
                cwd="/",
                env=ENVIRONMENT,
            )
        return psutil.Process(self._process.pid)

    def _becomes_ready(self, server: psutil.Process) -> bool:
        """Wait until the server answers (True) or has ended (False)."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while (refusal := self._ping()) is not None:
            if _has_ended(server):
                return False
            if time.monotonic() > deadline:
                raise _failure(f"PostgreSQL did not answer within {_START_TIMEOUT_S:.0f} s", refusal, self.data)
            time.sleep(0.02)
        return True

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        host = str(self.socket_directory)
        return psycopg2.connect(dbname=database, host=host, port=_PORT, user=ROLE, connect_timeout=10)

    def _ping(self) -> str | None:
        """None if the server answers, else what it (or the socket) said."""
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError as error:
            return str(error)
        return None

    def _make_database(self) -> None:
        connection = self._connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        finally:
            connection.close()


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _open_private(path: Path) -> IO[bytes]:
    """Open a file for appending that only its owner can read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab", buffering=0)


def _tail(path: Path, size: int = 4096) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("utf-8", "replace")


@contextmanager
def _explained(data: Path) -> Iterator[None]:
    """Turn what the operating system refuses into words."""
    try:
        yield
    except OSError as error:
        place = error.filename or str(data)
        raise _failure(f"{place}: {error.strerror}", error.strerror or "", data, error.errno) from error


def _failure(what: str, said: str, data: Path, number: int | None = None) -> EmbeddedPostgresError:
    lines = [line for line in said.splitlines() if any(mark in line for mark in ("FATAL", "PANIC", "error:", "ERROR"))]
    reason = (lines or said.strip().splitlines() or [""])[-1].strip()
    detail = f"{what}: {reason}" if reason and reason not in what else what
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in said or "quota exceeded" in said:
        remedy = f"the disk of {data} is full: free some space there, or choose another directory with --data"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS) or "ermission denied" in said or "Read-only" in said:
        remedy = f"make {data} writable for the user that runs this, or choose another directory with --data"
    else:
        remedy = f"the whole story is in {data / 'logs' / 'postgres.log'}"
    return EmbeddedPostgresError(detail, field="data", remedy=remedy)
