"""Runs one job: directory, inputs, payload, outputs, logs, report. Every step is a method; `run` is their order."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pilot.checks import Watch, Watched
from pilot.cleaner import held, keep
from pilot.description import JobDescription, JobFile
from pilot.diagnosis import payload_failure
from pilot.directory import JobDirectory, UsageGauge
from pilot.errors import LOG_CREATION_FAILED, UNKNOWN_EXCEPTION, JobAbandoned, JobFailure
from pilot.heartbeat import Heartbeat
from pilot.logs import JobLog, job_log, make_archive, tail, written_to
from pilot.meter import Meter
from pilot.options import PilotOptions
from pilot.orders import Orders
from pilot.payload import Payload, PayloadEnd, payload_command, payload_environment
from pilot.probe import free_disk_mb
from pilot.report import Account, deliver, figures, final_fields
from pilot.server import Server
from pilot.staging import Stager
from pilot.transformation import download, is_url
from pilot.user_secrets import remove_secrets, write_secrets

LOG_TRANSFER_S = 5.0
"""Time for storing the log when the pilot itself has to end."""


class JobRun:
    """One job on this node, from its description to the server's acknowledgement of its end."""

    def __init__(
        self, job: JobDescription, server: Server, options: PilotOptions, orders: Orders, pilot_started: float
    ) -> None:
        self._job, self._server, self._options, self._orders = job, server, options, orders
        self._pilot_started = pilot_started
        self._log: JobLog = job_log(job, options.queue)
        self._meter = Meter()
        self._account = Account()
        self._stager = Stager(options, orders.check, self._log)

    def run(self, acquired_in_s: float = 0.0) -> Account:
        """Run it and report it. `acquired_in_s`: how long the request for it took. Raises nothing the job can cause."""
        self._account.timings_s["getjob"] = acquired_in_s
        try:
            with self._account.timed("initial_setup"):
                self._job.check()
                directory = JobDirectory.create(self._options.work_directory, self._job)
        except JobFailure as failure:
            self._account.failure = failure
            self._log.warning("job %d cannot be started: %s", self._job.panda_id, failure)
            self._report(None)
            return self._account
        with held(directory), written_to(directory.pilot_log):
            worth_keeping = self._run_in(directory)
        if worth_keeping:
            keep(directory, worth_keeping)
        elif not self._options.keep_work_directory:
            directory.remove()
        return self._account

    def _run_in(self, directory: JobDirectory) -> str:
        """Run it in its directory; why the directory is still needed, if it is."""
        self._log.info("job %d attempt %d starts in %s", self._job.panda_id, self._job.attempt_nr, directory.path)
        usage = UsageGauge(directory)
        heartbeat = Heartbeat(
            self._server, self._job, self._orders, self._options.heartbeat_s, partial(self._figures, usage), self._log
        )
        try:
            with self._accountable():
                heartbeat.report("starting")
                self._stage_in(directory)
                heartbeat.report("running")
                self._execute(directory, usage, heartbeat)
                self._stage_out(directory)
            with self._accountable():
                self._store_log(directory)
        except JobAbandoned as reason:
            self._log.warning("job %d is given up: %s", self._job.panda_id, reason)
            return ""
        finally:
            heartbeat.stop()
        self._report(directory)
        if not self._account.reached_server:
            return "the server never got the final report"
        return "its outputs could not be stored" if self._has_unstored_outputs(directory) else ""

    @contextmanager
    def _accountable(self) -> Iterator[None]:
        """What goes wrong in the block ends up in the account; the first failure is the one that counts."""
        try:
            yield
        except JobAbandoned:
            raise
        except JobFailure as failure:
            self._log.warning("job %d fails: %s", self._job.panda_id, failure)
            self._account.failure = self._account.failure or failure
        except Exception as error:  # noqa: BLE001 - whatever breaks, the server must hear of it
            self._log.exception("the pilot broke down in job %d", self._job.panda_id)
            breakdown = JobFailure(UNKNOWN_EXCEPTION, f"{type(error).__name__}: {error}")
            self._account.failure = self._account.failure or breakdown

    def _stage_in(self, directory: JobDirectory) -> None:
        with self._account.timed("stagein"):
            self._stager.stage_in(self._job.inputs, directory.work)

    def _execute(self, directory: JobDirectory, usage: UsageGauge, heartbeat: Heartbeat) -> None:
        """Run the payload under the checks. Raises JobFailure when it fails or must be killed."""
        command = payload_command(self._job, directory, self._download(directory))
        environment = payload_environment(os.environ, self._job, self._options.queue)
        with self._account.timed("payload"):
            write_secrets(self._job.secrets, directory)
            payload = Payload(command, directory, environment)
            try:
                self._meter.watch(payload.guard_id)
                watch = Watch(self._watched(directory, usage, heartbeat))
                end = self._wait_for(payload, watch)
            finally:
                payload.close()
                remove_secrets(self._job.secrets, directory)
        self._log.info("the payload ended with %d after %.1f s of CPU time", end.trans_exit_code, end.cpu_time_s)
        free_mb = free_disk_mb(directory.path)
        if failure := payload_failure(end, tail(directory.stderr), tail(directory.stdout), free_mb):
            raise failure

    def _download(self, directory: JobDirectory) -> Path | None:
        """The program, when the transformation is a URL. Raises JobFailure or JobAbandoned."""
        if not is_url(self._job.transformation):
            return None
        with self._account.timed("setup"):
            return download(
                self._job.transformation,
                directory.work,
                self._orders.check,
                self._options.transfer_pause_s,
                self._log,
            )

    def _wait_for(self, payload: Payload, watch: Watch) -> PayloadEnd:
        """Until the payload ends by itself. Kills it and raises JobFailure or JobAbandoned when a check says so."""
        try:
            while True:
                next_check_s = watch.enforce()
                if end := payload.wait(next_check_s, self._orders.wakeup):
                    return self._note_end(end)
                self._orders.wakeup.drain()
        except (JobFailure, JobAbandoned) as reason:
            self._log.warning("killing the payload: %s", reason)
            self._note_end(payload.kill(self._options.kill_grace_s))
            raise

    def _note_end(self, end: PayloadEnd) -> PayloadEnd:
        self._account.end = end
        self._meter.finish(end.cpu_time_s, end.max_rss_kb)
        return end

    def _stage_out(self, directory: JobDirectory) -> None:
        with self._account.timed("stageout"):
            for file in self._job.outputs:
                made = directory.work / file.local_name
                if file.lfn in self._job.optional_outputs and not made.exists():
                    self._log.info("%s was not made, and need not be", file.lfn)
                    continue
                self._account.stored.append(self._stager.stage_out(file, made))

    def _store_log(self, directory: JobDirectory) -> None:
        """Archive and store the logs of a job, successful or not."""
        stored = {file.lfn for file in self._account.stored}
        done_with = [file for file in self._job.outputs if file.lfn in stored]
        directory.remove_inputs(self._job.inputs, self._job.outputs)
        if self._job.log is None:
            return
        with self._account.timed("stageout"):
            self._archive(directory, done_with)
            limit_s = LOG_TRANSFER_S if self._orders.pilot_must_end else None
            stager = Stager(self._options, _no_interrupt, self._log)
            self._account.stored.append(stager.stage_out(self._job.log, directory.log_archive, limit_s))

    def _archive(self, directory: JobDirectory, done_with: list[JobFile]) -> None:
        try:
            for reason in make_archive(directory, self._job, self._options.queue, [*self._job.inputs, *done_with]):
                self._log.info("left out of the log archive: %s", reason)
        except (OSError, tarfile.TarError) as error:
            raise JobFailure(LOG_CREATION_FAILED, str(error)) from error

    def _report(self, directory: JobDirectory | None) -> None:
        size_mb = directory.usage().size_mb if directory else 0
        fields = {**figures(self._meter, size_mb), **final_fields(self._account, self._job, directory)}
        self._account.reached_server = deliver(
            self._server, self._job, self._account.status, fields, self._options, self._orders, self._log
        )

    def _has_unstored_outputs(self, directory: JobDirectory) -> bool:
        """Did the payload succeed, and are outputs of it only here?"""
        succeeded = self._account.end is not None and self._account.end.exit_code == 0
        stored = {file.lfn for file in self._account.stored}
        unstored = [file for file in self._job.outputs if file.lfn not in stored]
        return succeeded and any((directory.work / file.local_name).is_file() for file in unstored)

    def _figures(self, usage: UsageGauge) -> dict[str, Any]:
        """What a heartbeat says; a walk over the directory may be as old as the checks allow."""
        self._meter.measure()
        return figures(self._meter, usage.read(self._options.check_period_s).size_mb)

    def _watched(self, directory: JobDirectory, usage: UsageGauge, heartbeat: Heartbeat) -> Watched:
        return Watched(
            job=self._job,
            options=self._options,
            directory=directory,
            usage=usage,
            meter=self._meter,
            orders=self._orders,
            payload_started=time.monotonic(),
            pilot_started=self._pilot_started,
            last_delivery=heartbeat.last_delivery,
        )


def _no_interrupt() -> None:
    """The log is stored even when the job must end."""
