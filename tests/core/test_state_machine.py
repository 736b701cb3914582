"""Anything in any order: after every step each job is whole, its history is a path of the table, the counters agree."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from core.agents.account_keeper import AccountKeeper
from core.agents.watchdog import Watchdog
from core.configuration import Timeouts
from core.database import Database
from core.dataservice.activation import Arrival, register_arrivals
from core.direct_submission import submit_jobs
from core.dispatch.update import REPORTABLE
from core.dispatch.workers import fail_jobs_of_worker
from core.errors import Conflict
from core.states import FINAL_JOB_STATUSES, JOB_TRANSITIONS, ON_WORKER_NODE, JobStatus
from core.taskbuffer.killing import KILL_CODES, Killer, kill_jobs
from core.taskbuffer.submission import NewFile
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import AccountSettings
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    jobs_of_task,
    kill_task,
    make_dataset,
    make_queue,
    make_task,
    new_job,
    outputs_of,
    report,
    row_of,
    stored,
)

TABLES = (
    *("jobs_live", "jobs_archive", "job_history", "job_files", "job_parameters", "job_logs", "job_output_reports"),
    *("tasks", "datasets", "files", "replicas", "queues", "storage_endpoints", "brokerage_decisions", "job_brokerage"),
)
# everything a moment ago is too long ago for the limits that are drawn
TINY, FAR = 1e-6, 1e9
LIMITS = sorted(set(Timeouts.model_fields) - {"urgent_priority", "heartbeat_by_workflow_s"})


class Lives(RuleBasedStateMachine):
    """Jobs of every kind in one database, pushed about."""

    database: Database
    jobs = Bundle("jobs")

    @initialize()
    def begin(self) -> None:
        """A fresh house with two queues; the second has none of the input."""
        self.database.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")
        make_queue(self.database, "Q")
        make_queue(self.database, "R")
        make_dataset(self.database, "there", ["a"], at=["Q_DISK"])
        make_dataset(self.database, "late", ["a"])

    # what users do

    @rule(
        target=jobs,
        count=st.integers(1, 3),
        queue=st.sampled_from(["Q", "R", ""]),
        dataset=st.sampled_from([None, "there", "late"]),
        priority=st.sampled_from([900, 1000]),
    )
    def submit(self, count: int, queue: str, dataset: str | None, priority: int) -> Any:
        """Jobs without a task."""
        new = [new_job(queue=queue, current_priority=priority, outputs=["o"]) for _ in range(count)]
        for job in new:
            if dataset:
                job.files.append(NewFile("input", "a", "a", dataset=dataset))
        return multiple(*submit_jobs(self.database, new))

    @rule(target=jobs, n_jobs=st.integers(1, 3), site=st.sampled_from(["Q", ""]))
    def submit_task(self, n_jobs: int, site: str) -> Any:
        """Jobs of a task."""
        task_id = make_task(self.database, nJobs=n_jobs, site=site, outputs=["o"], jobParameters="x > %OUT")
        return multiple(*jobs_of_task(self.database, task_id))

    @rule(
        panda_id=jobs, code=st.sampled_from([None, *KILL_CODES, 77]), killer=st.sampled_from(["alice", "bob", "boss"])
    )
    def kill(self, panda_id: int, code: int | None, killer: str) -> None:
        """By the owner, by somebody else, by a manager."""
        before = row_of(self.database, panda_id)
        [accepted] = kill_jobs(self.database, [panda_id], Killer(killer, killer == "boss"), code)
        if killer == "bob" or JobStatus(before["job_status"]) in FINAL_JOB_STATUSES:
            assert not accepted
            assert row_of(self.database, panda_id) == before
        else:
            assert accepted

    @rule(panda_id=jobs)
    def kill_its_task(self, panda_id: int) -> None:
        """All jobs of the task of a job."""
        task_id = row_of(self.database, panda_id)["jedi_task_id"]
        if task_id is None:
            return
        try:
            kill_task(self.database, task_id, Killer("alice", is_manager=False))
        except Conflict:
            # it has ended, or is being killed already and waits for a pilot
            task = self.task(task_id)
            assert task["end_time"] is not None or task["status"] == "aborting"

    # what pilots and their sites do

    @rule(queue=st.sampled_from(["Q", "R"]), count=st.integers(1, 3), worker=st.sampled_from(["", "w1", "w2"]))
    def acquire(self, queue: str, count: int, worker: str) -> None:
        """Only activated jobs, best first."""
        waiting = self.database.fetch(
            """SELECT panda_id FROM jobs_live WHERE job_status = 'activated' AND computing_site = %(queue)s
               ORDER BY current_priority DESC, panda_id LIMIT %(count)s""",
            {"queue": queue, "count": count},
        )
        taken = acquire(self.database, queue, job_count=count, worker_id=worker)
        assert [entry.job["panda_id"] for entry in taken] == [row["panda_id"] for row in waiting]

    @rule(
        panda_id=jobs,
        said=st.sampled_from(sorted(REPORTABLE)),
        attempt_nr=st.sampled_from([None, 1, 2]),
        code=st.sampled_from([None, 1305]),
        stores=st.sampled_from(["everything", "nothing", "nonsense"]),
    )
    def report(self, panda_id: int, said: str, attempt_nr: int | None, code: int | None, stores: str) -> None:
        """Right and wrong, early and late."""
        before, others = row_of(self.database, panda_id), self.outside(panda_id)
        lfns = outputs_of(self.database, panda_id)
        kinds: dict[str, dict[str, Any]] = {
            "everything": stored(lfns),
            "nothing": {},
            "nonsense": stored(lfns, fsize="x"),
        }
        answer = report(
            self.database, panda_id, said, attempt_nr=attempt_nr, pilot_error_code=code, output_report=kinds[stores]
        )
        after, status = row_of(self.database, panda_id), JobStatus(before["job_status"])
        if attempt_nr == 2:
            assert answer == "badattemptnr" or answer == "tobekilled"
            assert after == before
        elif status not in ON_WORKER_NODE and not (status in ("holding", "transferring") and answer is None):
            assert answer in ("alreadydone", "tobekilled")
            assert after == before
        else:
            assert answer == (None if said in ("finished", "failed") else before["command_to_pilot"] or None)
            target = JobStatus.HOLDING if said in ("finished", "failed") else JobStatus(said)
            assert after["job_status"] == (target if target in JOB_TRANSITIONS[status] else status)
        assert self.outside(panda_id) == others

    @rule(cap=st.sampled_from([1, 2, 1000]), command=st.sampled_from(["", "pause", "resume"]), panda_id=jobs)
    def hold(self, cap: int, command: str, panda_id: int) -> None:
        """By caps and by pauses, in any order; neither lets go what the other holds."""
        task_id = row_of(self.database, panda_id)["jedi_task_id"]
        if command and task_id is not None:
            run_command(self.database, command, task_id, Issuer("alice"))
        AccountKeeper(self.database, AccountSettings(max_running_jobs=cap), 1).cycle()
        loose = """SELECT 1 FROM jobs_live j JOIN tasks t USING (jedi_task_id)
                   WHERE t.status = 'paused' AND j.job_status = 'activated'"""
        assert self.database.fetch(loose) == []

    @rule()
    def report_on_nothing(self) -> None:
        """A job that never was."""
        assert report(self.database, 10**12, "finished") == "tobekilled"

    @rule(steps=st.integers(1, 4), worker=st.sampled_from(["", "w1", "w2"]))
    def everything_goes_well(self, steps: int, worker: str) -> None:
        """Brokerage, pilots, payloads and verdicts of all jobs, up to one of these."""
        broker(self.database)
        for queue in ("Q", "R") if steps > 1 else ():
            acquire(self.database, queue, job_count=100, worker_id=worker)
        for said in ("running", "finished")[: max(steps - 2, 0)]:
            for row in self.database.fetch("SELECT panda_id FROM jobs_live WHERE job_status IN ('sent', 'running')"):
                lfns = outputs_of(self.database, row["panda_id"])
                report(self.database, row["panda_id"], said, output_report=stored(lfns))

    @rule(worker=st.sampled_from(["w1", "w2", "w3"]))
    def worker_ends(self, worker: str) -> None:
        """Its jobs end unless their verdict is in."""
        held = self.database.fetch(
            "SELECT panda_id FROM jobs_live WHERE worker_id = %(w)s AND job_status = ANY(%(s)s) ORDER BY 1",
            {"w": worker, "s": sorted(ON_WORKER_NODE)},
        )
        assert fail_jobs_of_worker(self.database, worker, "signal 9") == [row["panda_id"] for row in held]

    @rule(endpoint=st.sampled_from(["Q_DISK", "R_DISK"]))
    def input_arrives(self, endpoint: str) -> None:
        """The late file comes to a storage."""
        register_arrivals(self.database, [Arrival("late", "a", endpoint, "/a")])

    # what the system does

    @rule()
    def brokerage(self) -> None:
        """One cycle of the setupper, with its pause between two looks forgotten."""
        self.database.execute("UPDATE jobs_live SET brokerage_time = NULL WHERE job_status = 'defined'")
        broker(self.database)
        waiting = self.database.fetch(
            """SELECT * FROM jobs_live j WHERE job_status = 'defined' AND NOT EXISTS (
                   SELECT 1 FROM tasks t WHERE t.jedi_task_id = j.jedi_task_id AND t.status = 'paused')"""
        )
        assert all(row["brokerage_error_diag"] for row in waiting)

    @rule()
    def accounting(self) -> None:
        """After the adder nobody waits for it."""
        add_up(self.database)
        assert self.database.fetch("SELECT 1 FROM job_output_reports") == []

    @rule(limits=st.sets(st.sampled_from(LIMITS), min_size=1, max_size=2))
    def watch(self, limits: set[str]) -> None:
        """Some limits are over for everybody."""
        timeouts = Timeouts(**(dict.fromkeys(LIMITS, FAR) | dict.fromkeys(limits, TINY)))
        Watchdog(self.database, timeouts, 1).cycle()
        if "heartbeat_s" in limits:
            assert self.database.fetch("SELECT 1 FROM jobs_live WHERE job_status = 'running'") == []

    # what is always true

    @invariant()
    def each_job_is_in_one_place(self) -> None:
        """Live or archived, never both, never neither."""
        rows = self.database.fetch(
            """SELECT i.panda_id FROM (SELECT DISTINCT panda_id FROM job_history) i
               LEFT JOIN jobs_live l USING (panda_id) LEFT JOIN jobs_archive a USING (panda_id)
               WHERE (l.panda_id IS NULL) = (a.panda_id IS NULL)"""
        )
        assert rows == []
        final = sorted(FINAL_JOB_STATUSES)
        assert self.database.fetch("SELECT 1 FROM jobs_live WHERE job_status = ANY(%(f)s)", {"f": final}) == []
        assert self.database.fetch("SELECT 1 FROM jobs_archive WHERE job_status <> ALL(%(f)s)", {"f": final}) == []

    @invariant()
    def histories_are_paths_of_the_table(self) -> None:
        """From defined, step by legal step, to the state the job is in; one end at most."""
        paths: dict[int, list[str]] = {}
        statuses = self.statuses()
        for row in self.database.fetch("SELECT * FROM job_history ORDER BY history_id"):
            path = paths.setdefault(row["panda_id"], [])
            assert row["previous_status"] == (path[-1] if path else "")
            path.append(row["job_status"])
        for panda_id, path in paths.items():
            assert path[0] == "defined"
            for before, after in pairwise(path):
                assert JobStatus(after) in JOB_TRANSITIONS[JobStatus(before)], path
            assert statuses[panda_id][1] == path[-1]

    @invariant()
    def counters_of_tasks_are_the_states_of_their_jobs(self) -> None:
        """And a task has ended exactly when its last job has, and no input waits for another attempt."""
        jobs = self.statuses().values()
        ready = {
            row["jedi_task_id"]
            for row in self.database.fetch("SELECT jedi_task_id FROM task_files WHERE status = 'ready'")
        }
        for task in self.database.fetch("SELECT * FROM tasks"):
            statuses = Counter(status for task_id, status in jobs if task_id == task["jedi_task_id"])
            assert task["n_jobs"] == statuses.total()
            assert task["n_finished"] == statuses["finished"]
            assert task["n_failed"] == statuses["failed"]
            assert task["n_cancelled"] == statuses["cancelled"] + statuses["closed"]
            has_ended = all(JobStatus(status) in FINAL_JOB_STATUSES for status in statuses)
            has_ended = has_ended and task["jedi_task_id"] not in ready
            assert (task["end_time"] is not None) is has_ended
            assert (task["status"] in ("done", "finished", "failed", "aborted")) is has_ended

    @invariant()
    def finished_means_stored(self) -> None:
        """Every output of a finished job is there with its facts; outputs of others are not."""
        rows = self.database.fetch(
            """SELECT a.job_status, f.* FROM jobs_archive a JOIN job_files f USING (panda_id) WHERE f.type = 'output'"""
        )
        for row in rows:
            is_stored = row["status"] == "ready" and row["size_bytes"] == 3 and bool(row["checksum"])
            assert is_stored is (row["job_status"] == "finished")

    @invariant()
    def no_ended_job_is_waited_for(self) -> None:
        """Neither its files nor its report."""
        assert (
            self.database.fetch(
                """SELECT 1 FROM jobs_archive a JOIN job_files f USING (panda_id) WHERE f.status IN ('pending', 'defined')
                   UNION ALL SELECT 1 FROM jobs_archive a JOIN job_output_reports r USING (panda_id)"""
            )
            == []
        )

    def outside(self, panda_id: int) -> list[dict[str, Any]]:
        """All live jobs but one."""
        return self.database.fetch(
            "SELECT * FROM jobs_live WHERE panda_id <> %(id)s ORDER BY panda_id", {"id": panda_id}
        )

    def statuses(self) -> dict[int, tuple[int | None, str]]:
        """Task and state of every job."""
        rows = self.database.fetch(
            """SELECT panda_id, jedi_task_id, job_status FROM jobs_live
               UNION ALL SELECT panda_id, jedi_task_id, job_status FROM jobs_archive"""
        )
        return {row["panda_id"]: (row["jedi_task_id"], row["job_status"]) for row in rows}

    def task(self, task_id: int) -> dict[str, Any]:
        """The row of a task."""
        row = self.database.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
        assert row is not None
        return row


@pytest.mark.timeout(280)
def test_lives_of_jobs(shared_database: Database):
    Lives.database = shared_database
    machine = Lives.TestCase
    machine.settings = settings(
        max_examples=60,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    machine("runTest").runTest()
