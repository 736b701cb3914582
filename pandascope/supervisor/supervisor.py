"""The supervisor: starts PostgreSQL, API workers, agents and the site in order, and keeps them running.

One loop, one thread, no state but the processes themselves: after kill -9 of the supervisor its children end by the
lifeline (PostgreSQL and pilots go on), and the next one starts from what it finds.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from core.configuration import Settings, make_data_directory
from core.database import Database, migrate, server_of
from core.database.embedded import EmbeddedPostgres
from core.errors import PandaError, Unavailable
from core.queues import ensure_local_site
from logger.handler import PandaHandler, attach
from pandascope.environment import ENVIRONMENT_FILE
from pandascope.supervisor.access import ROLES, issue_token, local_user, write_environment_file
from pandascope.supervisor.installation import (
    API_PREFIX,
    DATABASE,
    PILOT_PREFIX,
    SITE,
    SUPERVISOR,
    AlreadyRunning,
    is_alive,
)
from pandascope.supervisor.lifeline import Lifeline
from pandascope.supervisor.listener import local_url, open_listener
from pandascope.supervisor.logs import SPOOL, rotate
from pandascope.supervisor.pulse import Pulse
from pandascope.supervisor.records import ProcessRecord, ProcessRecords
from pandascope.supervisor.service import Command, Service, how_it_ended, signal_name
from pandascope.supervisor.troubles import Troubles

log = logging.getLogger("panda.supervisor")

Report = Callable[[dict[str, Any]], None]

_LOOP_S, _DATABASE_CHECK_S, _HOUSEKEEPING_S = 0.1, 0.5, 60.0
_API_START_PATIENCE_S = 120.0
_SITE_PATIENCE_S, _PILOT_PATIENCE_S, _SERVICE_PATIENCE_S = 60.0, 30.0, 10.0
_HOPELESS_STARTS = 3
# Payloads run below the site: the way to the database, which may hold a password, must not be theirs.
_WITHOUT_DATABASE = {"PANDA_DATABASE_URL": None, "PANDA_DATABASE_READ_URL": None}


class Supervisor:
    """Runs one installation until it is told to stop (SIGTERM, SIGINT)."""

    def __init__(self, settings: Settings, report: Report) -> None:
        """`report` is told the steps of the start ({"step": sentence}) and its end ({"ready": {...}})."""
        self._settings = settings
        self._report = report
        self._records = ProcessRecords(settings.data)
        self._logs = settings.data / "logs"
        self._postgres = EmbeddedPostgres(settings.data) if settings.uses_embedded_database else None
        self._database_restarts = 0
        self._troubles = Troubles(log)
        self._lifeline = Lifeline()
        self._services: list[Service] = []
        self._handler: PandaHandler | None = None
        self._listener: socket.socket | None = None
        self._predecessor: ProcessRecord | None = None
        self._stopping = False
        self._token = ""
        self._token_renewal = 0.0
        self.url = ""

    def run(self) -> None:
        """Start everything, keep it running, and stop it at the end, also when the start fails with PandaError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        lock = self._take_lock()
        try:
            self._start()
            self._loop()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._stop_all()
            os.close(lock)

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _take_lock(self) -> int:
        data = self._settings.data
        try:
            make_data_directory(data)
            lock = os.open(data / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            remedy = "make it writable for the user that runs this, or choose another directory with --data"
            raise PandaError(f"{error.filename}: {error.strerror}", field="data", remedy=remedy) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise AlreadyRunning(f"{data} is already up", field="data", remedy="see `panda status`") from error
        self._predecessor = self._records.find(SUPERVISOR)  # a proper stop removes it
        self._records.write(SUPERVISOR, os.getpid())
        return lock

    # ---- start

    def _start(self) -> None:
        self._end_leftovers()
        # Kept open as long as we live: workers started later inherit it too.
        self._listener = open_listener(self._settings.host, self._settings.port)
        port = self._listener.getsockname()[1]
        self.url = local_url(self._settings.host, port)
        database_url = self._start_database()
        self._step("bringing the schema up to date")
        self._migrate(database_url)
        self._renew_token(database_url)
        environment = self._environment(port, database_url)
        self._step("starting the API and the agents")
        door = self._listener.fileno()
        for number in range(1, self._settings.api_workers + 1):
            pulse = Pulse()
            options = ["--fd", str(door), "--pulse-fd", str(pulse.child_end)]
            self._add(f"{API_PREFIX}{number}", "serve", options, environment, door, pulse=pulse)
        self._add("agents", "agents", [], environment)
        self._wait_for_api()
        self._handler = attach(self.url, lambda: self._token, SUPERVISOR, spool=self._settings.data / SPOOL)
        self._troubles.starts(SUPERVISOR)
        if self._predecessor is not None:
            self._troubles.ended(SUPERVISOR, f"the one before (pid {self._predecessor.pid}) died without stopping")
        if self._settings.site and not self._stopping:
            self._add(SITE, "site", [], {**environment, **_WITHOUT_DATABASE})
        self._report({"ready": {"url": self.url, "data": str(self._settings.data)}})

    def _step(self, sentence: str) -> None:
        log.info("%s", sentence)
        self._report({"step": sentence})

    def _end_leftovers(self) -> None:
        """End what a killed supervisor left behind. Pilots stay: they hold work that is worth finishing."""
        left = [
            record
            for record in self._records.read()
            if record.name not in (SUPERVISOR, DATABASE) and not record.name.startswith(PILOT_PREFIX)
        ]
        self._records.stop(left, patience_s=_SERVICE_PATIENCE_S)

    def _start_database(self) -> str:
        if self._postgres is None:
            self._step(f"connecting to PostgreSQL at {server_of(self._settings.database_url)}")
            return self._settings.database_url
        self._step("starting PostgreSQL")
        url = self._postgres.start()
        self._record_database()
        return url

    def _record_database(self) -> None:
        pid = self._postgres.pid if self._postgres else None
        if self._postgres and pid:
            self._troubles.starts(DATABASE)
            address = str(self._postgres.socket_directory)
            self._records.write(DATABASE, pid, restarts=self._database_restarts, address=address)

    def _migrate(self, database_url: str) -> None:
        database = Database(database_url, pool_size=1)
        try:
            migrate(database)
            if self._settings.site:
                ensure_local_site(database, str(self._settings.data / "storage"))
        except Unavailable as error:
            remedy = "look whether PANDA_DATABASE_URL is right and that server runs" if not self._postgres else ""
            raise PandaError(error.detail, field="database_url", remedy=remedy or error.remedy) from error
        finally:
            database.close()

    def _renew_token(self, database_url: str) -> None:
        lifetime_s = self._settings.token_lifetime_s
        user, vo = local_user(), self._settings.vo
        self._token = issue_token(self._settings, database_url, user=user, vo=vo, roles=list(ROLES)).text
        self._token_renewal = time.time() + lifetime_s / 2
        write_environment_file(self._settings.data, self.url, self._token)

    def _environment(self, port: int, database_url: str) -> dict[str, str]:
        """What the children have to know beyond what they read from environment and file themselves."""
        return {
            "PANDA_DATA": str(self._settings.data),
            "PANDA_HOST": self._settings.host,
            "PANDA_PORT": str(port),
            "PANDA_PILOTS": str(self._settings.pilots),
            "PANDA_DATABASE_URL": database_url,
            **self._lifeline.environment(),
        }

    def _add(
        self,
        name: str,
        command: str,
        options: list[str],
        environment: Mapping[str, str | None],
        *passed: int,
        pulse: Pulse | None = None,
    ) -> None:
        arguments = [sys.executable, "-P", "-m", "pandascope.cli.main", command, *options]
        details = {"address": self.url} if name.startswith(API_PREFIX) else {}
        descriptors = (self._lifeline.child_end, *passed)
        log_file = self._logs / f"{name}.log"
        service = Service(Command(name, arguments, environment, descriptors, log_file, details), self._records, pulse)
        service.start()
        self._services.append(service)
        self._troubles.starts(name)

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + _API_START_PATIENCE_S
        deaths = 0
        while not self._stopping and not is_alive(self.url):
            for service in self._services:
                ended = service.check()
                if ended:
                    log.error("%s while starting", ended.sentence)
                    deaths += service.name.startswith(API_PREFIX)
            if deaths >= _HOPELESS_STARTS or time.monotonic() > deadline:
                raise PandaError(
                    f"the server does not start: {_last_words(self._logs, self._services)}",
                    remedy=f"the whole story is in {self._logs}",
                )
            time.sleep(_LOOP_S)

    # ---- watch

    def _loop(self) -> None:
        next_database_check = next_housekeeping = time.monotonic()
        while not self._stopping:
            time.sleep(_LOOP_S)
            now = time.monotonic()
            try:
                if now >= next_database_check:
                    next_database_check = now + _DATABASE_CHECK_S
                    self._check_database()
                for service in self._services:
                    self._check(service)
                self._troubles.tell_what_is_over()
                if now >= next_housekeeping:
                    next_housekeeping = now + _HOUSEKEEPING_S
                    self._keep_house()
            except Exception:
                log.exception("the supervisor goes on after", extra={"component": SUPERVISOR, "kind": "service"})
                time.sleep(1.0)

    def _check(self, service: Service) -> None:
        ended = service.check()
        if ended:
            sentence = f"{ended.how} (pid {ended.pid}); it is started again in {ended.restart_in_s:.2g} s"
            if ended.silent_s is not None:
                self._troubles.hung(ended.name, sentence)
            else:
                self._troubles.ended(ended.name, sentence, signal=ended.signal_name, exit_code=ended.return_code)

    def _check_database(self) -> None:
        if self._postgres is None or self._postgres.pid is not None:
            return
        code = self._postgres.exit_code()
        how = how_it_ended(code) if code is not None else "is gone"
        name = signal_name(code) if code is not None else ""
        self._troubles.ended(DATABASE, f"{how}; it is started again", signal=name, exit_code=code)
        self._postgres.start()
        self._database_restarts += 1
        self._record_database()
        log.getChild(DATABASE).info("answers again", extra={"component": DATABASE})

    def _keep_house(self) -> None:
        rotate(self._logs)
        if time.time() > self._token_renewal:
            self._renew_token(self._postgres.url if self._postgres else self._settings.database_url)

    # ---- stop

    def _stop_all(self) -> None:
        """Site and pilots first, while the API can take their final reports; then the rest; PostgreSQL last."""
        log.info("stopping")
        stopping_pilots = [service for service in self._services if service.name == SITE]
        _stop(stopping_pilots, _SITE_PATIENCE_S)
        pilots = [record for record in self._records.read() if record.name.startswith(PILOT_PREFIX)]
        self._records.stop(pilots, patience_s=_PILOT_PATIENCE_S)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler.close()
        _stop([service for service in self._services if service.name != SITE], _SERVICE_PATIENCE_S)
        if self._listener is not None:
            self._listener.close()
        if self._postgres is not None:
            try:
                self._postgres.stop()
            except PandaError as error:
                log.error("PostgreSQL does not stop: %s", error)
        self._records.remove(DATABASE)
        (self._settings.data / ENVIRONMENT_FILE).unlink(missing_ok=True)
        self._records.remove(SUPERVISOR)
        log.info("stopped")


def _stop(services: list[Service], patience_s: float) -> None:
    for service in services:
        service.terminate()
    deadline = time.monotonic() + patience_s
    for service in services:
        service.wait(deadline - time.monotonic())


def _last_words(logs: Path, services: list[Service]) -> str:
    """The last line of the log of the first service that is not running."""
    for service in services:
        path = logs / f"{service.name}.log"
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        if not service.is_running and lines:
            return f"{service.name}: {lines[-1]}"
    return "it does not answer"
