"""The monitor over real HTTP: the envelope of every answer, refusals that name the field, access."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import httpx
import pytest

from core.models.errors import primary_error
from tests.core.monitor.rows import ENDED_STATUSES, insert, insert_jobs, random_job
from tests.support.system import running_system

ENVELOPE = {"as_of", "window", "exact", "count", "next_cursor", "warnings"}
JOB_ROW = {
    *("panda_id", "jedi_task_id", "job_name", "job_status", "job_sub_status", "computing_site", "prod_source_label"),
    *("processing_type", "prod_user_name", "vo", "current_priority", "attempt_nr", "max_attempt", "core_count"),
    *("min_ram_mb", "creation_time", "modification_time", "state_change_time", "start_time", "end_time"),
    *("modification_host", "pilot_id", "transformation", "command_to_pilot", "cpu_consumption_time_s", "max_rss_kb"),
    *("error", "culprit_line", "incident_id"),
}
WHY = {
    *("kind", "panda_id", "jedi_task_id", "status", "computing_site", "reason", "also", "brokerage", "start"),
}
PAGES = {
    "summary": {"jobs", "incidents", "worst", "throughput", "waits", "silent_queues", "agents", "sparkline"},
    "jobs": {"facets", "jobs"},
    "queues": {"queues"},
    "users": {"users", "default_limits"},
    "timeouts": {"timeouts", "last_run", "next_run"},
    "agents": {"agents"},
    "tasks": {"tasks"},
    "incidents": {"facets", "incidents"},
    "throughput": {"bin_s", "bins", "series"},
    "search?q=17": {"hits"},
    "job/17": {
        "job",
        "summary",
        "parameters",
        "history",
        "files",
        "errors",
        "incidents",
        "logs",
        "brokerage",
        "waits_for",
        "timing",
        "retries",
        "candidate",
    },
    "job/17/log": {"name", "names", "text", "first_line_number", "line_count", "truncated", "culprit"},
    "why/job/17": WHY,
    "why/task/10000000": WHY,
    "task/10000000": {
        *(
            "task",
            "parameters",
            "jobs",
            "incidents",
            "history",
            "datasets",
            "retries",
            "measured",
            "cost",
            "destination",
        ),
    },
    "incident/5": {
        *("incident", "culprit", "jobs", "breakdown", "records", "activity", "grouping", "verdict", "economics"),
        *("owner_hint", "previous", "inhibits", "silences", "links", "deeds"),
    },
    "incident/5/compare?with=5": {"one", "other", "is_same", "parts", "words", "sentence"},
    "silences": {"silences"},
}


@pytest.fixture(scope="module")
def jobs():
    now = datetime.now(UTC)
    return [random_job(random.Random(number), number, now=now) for number in range(1, 200)]


@pytest.fixture(scope="module")
def monitor(module_database_url, tmp_path_factory, jobs):
    """A client of a server without agents, so that the rows stay as they are."""
    with running_system(module_database_url, tmp_path_factory.mktemp("monitor"), agents=False) as system:
        insert_jobs(system.database, jobs)
        insert(system.database, "job_logs", [{"panda_id": 17, "name": "payload.stderr", "text": "boom\n"}])
        insert(system.database, "tasks", [{"jedi_task_id": 10_000_000, "task_name": "<b>task</b>", "parameters": {}}])
        insert(system.database, "incidents", [{"incident_id": 5, "title": "boom", "opened_time": datetime.now(UTC)}])
        insert(system.database, "incident_jobs", [{"panda_id": 17, "incident_id": 5, "culprit_line": "boom"}])
        with httpx.Client(base_url=f"{system.url}/api/monitor/", timeout=30) as client:
            yield client


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_has_the_envelope_and_its_own_content(monitor, page):
    answer = monitor.get(page)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert set(document) == ENVELOPE | PAGES[page]
    assert datetime.fromisoformat(document["as_of"]).tzinfo and isinstance(document["count"], int)


@pytest.mark.parametrize("page", [page for page in PAGES if "/" not in page and "?" not in page])
def test_what_a_page_does_not_know_is_a_warning_or_a_refusal(monitor, page):
    assert monitor.get(page, params={"colour": "blue"}).json()["warnings"] == ["ignored: colour"]
    refusal = monitor.get(page, params={"colour": "blue", "strict": "1"})
    assert refusal.status_code == 422
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["field"] == "colour"


def test_a_row_has_exactly_the_fields_of_the_contract(monitor):
    rows = monitor.get("jobs?limit=1000").json()["jobs"]
    assert rows and all(set(row) == JOB_ROW for row in rows)
    page = monitor.get("incident/5").json()
    assert set(page["jobs"][0]) == JOB_ROW
    assert set(monitor.get("job/17").json()["job"]) >= JOB_ROW


def test_following_the_cursor_shows_every_job_once(monitor, jobs):
    known = {job["panda_id"] for job in jobs if job["job_status"] not in ENDED_STATUSES}
    seen, parameters = [], {"limit": "13", "facets": "0"}
    while True:
        document = monitor.get("jobs", params=parameters).json()
        seen += [row["panda_id"] for row in document["jobs"]]
        if document["next_cursor"] is None:
            break
        parameters["cursor"] = document["next_cursor"]
    assert len(seen) == len(set(seen)) == document["count"] and known <= set(seen)


def test_repeated_filters_must_all_hold(monitor, jobs):
    document = monitor.get("jobs?job_status=*ed&job_status=!failed&days=30&limit=1000").json()
    wanted = {job["panda_id"] for job in jobs if job["job_status"].endswith("ed") and job["job_status"] != "failed"}
    assert {row["panda_id"] for row in document["jobs"]} == wanted


def test_errors_are_the_primary_ones(monitor, jobs):
    shown = {row["panda_id"]: row["error"] for row in monitor.get("jobs?days=30&limit=1000").json()["jobs"]}
    for job in jobs:
        error = primary_error(job)
        found = shown[job["panda_id"]]
        assert (found and (found["component"], found["code"])) == (error and (error.component, error.code))


@pytest.mark.parametrize(
    ("question", "status", "field"),
    [
        ("jobs?hours=x", 422, "hours"),
        ("jobs?limit=0", 422, "limit"),
        ("jobs?limit=1001", 422, "limit"),
        ("jobs?cursor=abc", 422, "cursor"),
        ("jobs?sortby=colour", 422, "sortby"),
        ("jobs?pandaid=x", 422, "panda_id"),
        ("jobs?facets=maybe", 422, "facets"),
        ("jobs?job_name=%00", 422, "job_name"),
        ("job/x", 422, "panda_id"),
        ("job/999999", 404, "panda_id"),
        ("job/99999999999999999999999", 422, "panda_id"),
        ("job/17/log?name=none", 404, "name"),
        ("task/1", 404, "jedi_task_id"),
        ("incident/1", 404, "incident_id"),
        ("throughput?bin_s=7", 422, "bin_s"),
        ("throughput?by=colour", 422, "by"),
        ("search", 422, "q"),
    ],
)
def test_refusals_name_the_field_and_the_remedy(monitor, question, status, field):
    answer = monitor.get(question)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["field"] == field and problem["remedy"] and problem["detail"]


def test_the_document_describes_the_filters(monitor):
    document = httpx.get(monitor.base_url.join("/api/openapi.json")).json()
    operation = document["paths"]["/api/monitor/jobs"]["get"]
    described = {parameter["name"] for parameter in operation["parameters"]}
    assert {
        "job_status",
        "computing_site",
        "error",
        "incident",
        "q",
        "hours",
        "cursor",
        "strict",
        "facets",
    } <= described
    assert operation["x-access"] == "reader"


def test_a_monitor_that_is_not_open_wants_a_token(database_url, tmp_path):
    with running_system(database_url, tmp_path, agents=False, monitor_access="token") as system:
        for page in PAGES:
            assert httpx.get(f"{system.url}/api/monitor/{page}").status_code == 401
        assert system.client().get("/api/monitor/summary").status_code == 200
