"""Every timeout ends exactly the jobs it is for: the expectation is written down here once more, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest

from core.agents.watchdog import Watchdog
from core.configuration import Timeouts
from core.database import Database
from core.direct_submission import submit_jobs
from core.queues import set_queue
from core.states import FINAL_JOB_STATUSES, JobStatus
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskbuffer.submission import NewFile
from core.taskbuffer.timeouts import RULES
from tests.support.builders import (
    archived,
    broker,
    jobs_of_task,
    live,
    make_dataset,
    make_older,
    make_queue,
    make_task,
    new_job,
    put_into,
    row_of,
    start,
    status_of,
)

FAR = 1e9
NO_TIME = {"urgent_no_start_s", "urgent_priority", "heartbeat_by_workflow_s"}
LIMITS = sorted(set(Timeouts.model_fields) - NO_TIME)
LIVE = sorted(set(JobStatus) - FINAL_JOB_STATUSES)
ON_NODE = ("starting", "stagein", "running", "stageout")


@dataclass(frozen=True)
class Case:
    """A job that is old in every respect."""

    status: str
    label: str
    priority: int
    has_error: bool
    has_report: bool

    @property
    def is_short_lived(self) -> bool:
        return self.label == "user" or self.priority >= 800

    @property
    def is_recoverable(self) -> bool:
        return self.status == "holding" and self.has_error and not self.has_report


CASES = [
    Case(*combination) for combination in product(LIVE, ("user", "managed"), (799, 800), (False, True), (False, True))
]
CLOSED_TO_REASSIGN, EXPIRED = ("closed", "toreassign", "task_buffer", 100), ("closed", "toreassign", "task_buffer", 102)


def failed(code: int) -> tuple[str, str, str, int]:
    return "failed", "", "job_dispatcher", code


# which jobs a limit ends, and how (domain.md 2.3, server-api.md 5.5)
EXPECTED: dict[str, Callable[[Case], tuple[str, str, str, int] | None]] = {
    "pending_s": lambda j: EXPIRED if j.status == "pending" else None,
    "waiting_s": lambda j: EXPIRED if j.status == "waiting" else None,
    # direct jobs: nothing takes their place
    "defined_s": lambda j: EXPIRED if j.status == "defined" and j.label == "managed" else None,
    "merge_input_gone_s": lambda j: None,
    "assigned_s": lambda j: CLOSED_TO_REASSIGN if j.status == "assigned" else None,
    "activated_s": lambda j: CLOSED_TO_REASSIGN if j.status == "activated" else None,
    "starting_s": lambda j: CLOSED_TO_REASSIGN if j.status == "starting" else None,
    "urgent_activated_s": lambda j: (
        CLOSED_TO_REASSIGN if j.status in ("activated", "starting") and j.priority >= 800 else None
    ),
    "unstarted_since_creation_s": lambda j: (
        EXPIRED if j.status in ("pending", "defined", "waiting", "assigned", "activated") else None
    ),
    "throttled_s": lambda j: EXPIRED if j.status == "throttled" else None,
    "sent_s": lambda j: failed(102) if j.status == "sent" else None,
    "heartbeat_s": lambda j: failed(100) if j.status in ON_NODE else None,
    "running_total_s": lambda j: failed(100) if j.status in ON_NODE else None,
    "holding_user_s": lambda j: (
        failed(101 if j.has_error else 103) if j.status == "holding" and j.is_short_lived and not j.has_report else None
    ),
    "holding_recoverable_s": lambda j: failed(101) if j.is_recoverable else None,
    "holding_s": lambda j: failed(103) if j.status in ("holding", "merging") and not j.is_recoverable else None,
    "transferring_user_s": lambda j: failed(104) if j.status == "transferring" and j.label == "user" else None,
    "transferring_high_s": lambda j: failed(104) if j.status == "transferring" and j.priority >= 800 else None,
    "transferring_low_s": lambda j: failed(104) if j.status == "transferring" else None,
}


def timeouts(**limits: float) -> Timeouts:
    return Timeouts(**(dict.fromkeys({*LIMITS, "urgent_no_start_s"}, FAR) | limits))


def watch(database: Database, **limits: float) -> int:
    return Watchdog(database, timeouts(**limits), 1).cycle()


@pytest.fixture
def site(shared_database: Database):
    """A queue in test, which starts nothing urgent; nothing live from the test before."""
    make_queue(shared_database, status="test", parameters={})
    yield shared_database
    shared_database.execute("DELETE FROM jobs_live")


def old_jobs(database: Database, cases: list[Case], age_s: float = 1000) -> list[int]:
    jobs = [new_job(prod_source_label=case.label, current_priority=case.priority) for case in cases]
    panda_ids = submit_jobs(database, jobs)
    for panda_id, case in zip(panda_ids, cases, strict=True):
        error = 1137 if case.has_error else 0
        put_into(database, panda_id, case.status, pilot_error_code=error, current_priority=case.priority)
        if case.has_report:
            database.execute(
                "INSERT INTO job_output_reports (panda_id, verdict) VALUES (%(id)s, 'finished')", {"id": panda_id}
            )
    database.execute(
        """UPDATE jobs_live SET creation_time = creation_time - make_interval(secs => %(s)s),
               state_change_time = state_change_time - make_interval(secs => %(s)s),
               modification_time = modification_time - make_interval(secs => %(s)s)
           WHERE panda_id = ANY(%(ids)s)""",
        {"s": age_s, "ids": panda_ids},
    )
    return panda_ids


def outcome(database: Database, panda_id: int) -> tuple[str, str, str, int] | None:
    row = archived(database, panda_id)
    if row is None:
        return None
    component = next(name for name in ("task_buffer", "job_dispatcher") if row[f"{name}_error_code"])
    assert row[f"{component}_error_diag"]
    return row["job_status"], row["job_sub_status"], component, row[f"{component}_error_code"]


def test_every_limit_is_expected_something_of():
    assert set(EXPECTED) == set(LIMITS)


def test_every_rule_reads_a_limit_of_its_own_and_every_limit_has_a_rule():
    numbered = Timeouts(**{name: 1000 + number for number, name in enumerate(LIMITS)})
    read = {rule.limit_s(numbered) for rule in RULES}
    assert read == {1000 + number for number in range(len(LIMITS))}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_ends_the_jobs_it_is_for_and_no_other(site, limit):
    panda_ids = old_jobs(site, CASES)
    expected = {case: EXPECTED[limit](case) for case in CASES}
    assert watch(site, **{limit: 500}) == sum(end is not None for end in expected.values())
    assert {case: outcome(site, panda_id) for panda_id, case in zip(panda_ids, CASES, strict=True)} == expected


def test_nothing_ends_before_its_time(site):
    old_jobs(site, CASES, age_s=100)
    assert watch(site, **dict.fromkeys([*LIMITS, "urgent_no_start_s"], 500)) == 0


def test_the_defaults_end_nothing_young(site):
    old_jobs(site, CASES, age_s=60)
    assert Watchdog(site, Timeouts(), 1).cycle() == 0


def test_queues_that_are_paused_are_left_alone(site):
    old_jobs(site, CASES)
    set_queue(site, "Q", {"status": "paused"})
    assert watch(site, **dict.fromkeys([*LIMITS, "urgent_no_start_s"], 500)) == 0


@pytest.mark.parametrize("flag", [True, "True", "true", "1", 1, "yes"])
def test_a_queue_may_forbid_to_reassign(site, flag):
    set_queue(site, "Q", {"parameters": {"disableReassign": flag}})
    panda_ids = old_jobs(site, CASES)
    for limit in ("assigned_s", "activated_s", "starting_s", "urgent_activated_s"):
        assert watch(site, **{limit: 500}) == 0
    assert all(live(site, panda_id) for panda_id in panda_ids)


@pytest.mark.parametrize("flag", [False, "false", None, "maybe", {"odd": 1}, [], ""])
def test_whatever_else_stands_there_does_not_stop_the_watchdog(site, flag):
    set_queue(site, "Q", {"parameters": {"disableReassign": flag}})
    old_jobs(site, [Case("assigned", "user", 1000, False, False)])
    assert watch(site, assigned_s=500) == 1


def test_a_heartbeat_is_what_keeps_a_job_alive(site):
    set_queue(site, "Q", {"status": "online"})
    [panda_id] = start(site)
    make_older(site, panda_id, "state_change_time", 1000)
    make_older(site, panda_id, "creation_time", 1000)
    assert watch(site, heartbeat_s=500) == 0
    make_older(site, panda_id, "modification_time", 1000)
    assert watch(site, heartbeat_s=500) == 1
    row = row_of(site, panda_id)
    assert (row["job_dispatcher_error_code"], row["job_status"]) == (100, "failed")
    assert "lost heartbeat" in row["job_dispatcher_error_diag"]


def test_workflows_may_have_their_own_heartbeat(site):
    set_queue(site, "Q", {"parameters": {"workflow": "push"}})
    old_jobs(site, [Case("running", "user", 1000, False, False)])
    slow = Timeouts(heartbeat_s=500, heartbeat_by_workflow_s={"push": 5000})
    assert Watchdog(site, slow, 1).cycle() == 0
    quick = Timeouts(heartbeat_s=5000, heartbeat_by_workflow_s={"push": 500})
    assert Watchdog(site, quick, 1).cycle() == 1


def test_running_altogether_counts_from_the_start(site):
    [panda_id] = old_jobs(site, [Case("running", "user", 1000, False, False)])
    site.execute("UPDATE jobs_live SET start_time = clock_timestamp()")
    assert watch(site, running_total_s=500) == 0
    make_older(site, panda_id, "start_time", 1000)
    assert watch(site, running_total_s=500) == 1


@pytest.mark.parametrize(
    ("status", "last_job_s", "ends"),
    [("online", 10, False), ("online", 1000, True), ("test", 10, True), ("offline", 10, True), ("online", None, False)],
)
def test_urgent_jobs_leave_a_queue_that_starts_nothing(site, status, last_job_s, ends):
    set_queue(site, "Q", {"status": status})
    site.execute("DELETE FROM queue_contacts")
    site.execute("UPDATE queues SET creation_time = clock_timestamp()")
    if last_job_s is not None:
        site.execute(
            """INSERT INTO queue_contacts (queue_name, last_job_time)
               VALUES ('Q', clock_timestamp() - make_interval(secs => %(s)s))""",
            {"s": last_job_s},
        )
    [panda_id] = old_jobs(site, [Case("activated", "managed", 900, False, False)])
    assert watch(site, urgent_activated_s=500, urgent_no_start_s=600) == int(ends)
    assert (live(site, panda_id) is None) is ends


def test_a_killed_job_whose_heartbeat_is_lost_counts_as_killed(site):
    [panda_id] = old_jobs(site, [Case("running", "user", 1000, False, False)])
    kill_jobs(site, [panda_id], Killer("alice", is_manager=False))
    assert watch(site, heartbeat_s=500) == 1
    row = row_of(site, panda_id)
    assert (row["job_status"], row["job_dispatcher_error_code"], row["task_buffer_error_code"]) == ("cancelled", 0, 100)


def test_production_of_a_task_is_made_again_when_no_queue_is_found_for_long(site):
    [panda_id] = old_jobs(site, [Case("defined", "managed", 1000, False, False)])
    put_into(site, panda_id, "defined", jedi_task_id=99_000_000, job_index=1)
    assert watch(site, defined_s=500) == 1
    assert outcome(site, panda_id) == CLOSED_TO_REASSIGN


def test_the_input_of_a_reassigned_job_is_ready_for_another(site):
    set_queue(site, "Q", {"status": "online"})
    task_id = make_task(site, nJobs=2)
    while broker(site):
        pass
    [first, second] = jobs_of_task(site, task_id)
    make_older(site, first, "state_change_time", 1000)
    assert watch(site, activated_s=500) == 1
    assert outcome(site, first) == CLOSED_TO_REASSIGN
    files = site.fetch(
        "SELECT panda_id, status, attempt_nr, failed_attempt FROM task_files WHERE jedi_task_id = %(id)s",
        {"id": task_id},
    )
    assert {(file["panda_id"], file["status"], file["attempt_nr"], file["failed_attempt"]) for file in files} == {
        (first, "ready", 1, 0),
        (second, "running", 1, 0),
    }
    task = site.fetch_one("SELECT status, generate_at FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert task["status"] == "running" and task["generate_at"] is not None


def test_a_merge_job_without_its_input_is_cancelled(site):
    make_dataset(site, "merge_in", ["m1", "m2"], at=["Q_DISK"])
    job = new_job(processing_type="pmerge")
    job.files += [NewFile("input", name, name, dataset="merge_in") for name in ("m1", "m2")]
    [panda_id] = submit_jobs(site, [job])
    make_older(site, panda_id, "state_change_time", 1000)
    assert watch(site, merge_input_gone_s=500) == 0
    site.execute(
        "DELETE FROM replicas WHERE file_id = (SELECT file_id FROM job_files WHERE lfn = 'm2' AND type = 'input')"
    )
    assert watch(site, merge_input_gone_s=5000) == 0
    assert watch(site, merge_input_gone_s=500) == 1
    assert outcome(site, panda_id) == ("cancelled", "", "task_buffer", 100)


def test_what_a_rule_did_is_counted(site):
    site.execute("DELETE FROM timeout_counts")
    old_jobs(site, [Case("sent", "user", 1000, False, False)] * 3)
    watch(site, sent_s=500)
    panda_ids = old_jobs(site, [Case("sent", "user", 1000, False, False)] * 2)
    watch(site, sent_s=500)
    [row] = site.fetch("SELECT * FROM timeout_counts")
    assert (row["name"], row["ended_total"], row["last_ended"]) == ("sent without a reply", 5, 2)
    assert row["last_panda_id"] == panda_ids[0]


def test_a_job_whose_queue_is_not_chosen_yet_is_watched(site):
    [panda_id] = old_jobs(site, [Case("defined", "managed", 1000, False, False)])
    put_into(site, panda_id, "defined", computing_site="")
    assert watch(site, defined_s=500) == 1
    assert status_of(site, panda_id) == "closed"


def test_many_late_jobs_are_ended_batch_by_batch(site):
    old_jobs(site, [Case("sent", "user", 1000, False, False)] * 1100)
    watchdog = Watchdog(site, timeouts(sent_s=500), 1)
    assert [watchdog.cycle() for _ in range(4)] == [500, 500, 100, 0]
