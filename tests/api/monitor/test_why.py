"""Why over real HTTP: the shape that the OpenAPI page promises, refusals, access, ends meanwhile, ids that are none."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from api.monitor.why import WhyAnswer
from tests.support.builders import acquire, activate, broker, make_queue, make_task, report, submit
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def system(module_database_url, tmp_path_factory):
    """A server without agents, so that jobs stay as they are."""
    with running_system(module_database_url, tmp_path_factory.mktemp("why"), agents=False) as running:
        make_queue(running.database)
        yield running


@pytest.fixture(scope="module")
def reader(system):
    with httpx.Client(base_url=f"{system.url}/api/monitor/", timeout=30) as client:
        yield client


def answer(reader: httpx.Client, path: str) -> dict[str, Any]:
    response = reader.get(path)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    # strictly the model that the OpenAPI page shows: nothing missing, nothing more
    WhyAnswer.model_validate(document)
    assert set(document) == set(WhyAnswer.model_fields)
    return document


def test_a_job_from_its_submission_to_its_end(system: RunningSystem, reader):
    (panda_id,) = submit(system.database)
    said = [answer(reader, f"why/job/{panda_id}")["reason"]["id"]]
    while broker(system.database):
        pass
    said.append(answer(reader, f"why/job/{panda_id}")["reason"]["id"])
    acquire(system.database)
    said.append(answer(reader, f"why/job/{panda_id}")["reason"]["id"])
    report(system.database, panda_id, "running")
    said.append(answer(reader, f"why/job/{panda_id}")["reason"]["id"])
    report(system.database, panda_id, "failed", exe_error_code=65)
    said.append(answer(reader, f"why/job/{panda_id}")["reason"]["id"])
    assert said == ["being_brokered", "no_pilot", "starting", "running", "outputs"]


def test_a_task(system: RunningSystem, reader):
    task = make_task(system.database)
    document = answer(reader, f"why/task/{task}")
    assert (document["kind"], document["jedi_task_id"]) == ("task", task)
    assert document["reason"]["sentence"] and document["brokerage"]["queue_count"] >= 1


@pytest.mark.parametrize("path", ["why/job/1000000000", "why/task/77000000"])
def test_what_is_not_there_is_a_404_with_a_remedy(reader, path):
    refused = reader.get(path)
    assert refused.status_code == 404
    assert refused.json()["field"] in ("panda_id", "jedi_task_id") and refused.json()["remedy"]


@pytest.mark.parametrize("kind", ["job", "task"])
@pytest.mark.parametrize(
    "word", ["x", "-1", "0", "1.5", "9" * 40, "%00", "1%27", "..%2f..", "true", "null", "1e3", "%F0%9F%90%BC", " "]
)
def test_ids_that_are_none_are_refused_and_never_an_error_of_ours(reader, kind, word):
    refused = reader.get(f"why/{kind}/{word}")
    assert 400 <= refused.status_code < 500, refused.text
    assert refused.json()["detail"]


def test_nobody_reads_a_closed_monitor_and_any_user_may(module_database_url, tmp_path, system):
    with running_system(module_database_url, tmp_path, agents=False, monitor_access="token") as closed:
        (panda_id,) = activate(closed.database)
        with httpx.Client(base_url=closed.url) as nobody:
            assert nobody.get(f"/api/monitor/why/job/{panda_id}").status_code == 401
            assert nobody.get("/api/monitor/why/task/10000000").status_code == 401
        assert closed.client("bob").get(f"/api/monitor/why/job/{panda_id}").status_code == 200


def test_jobs_that_end_while_they_are_asked_about_always_get_an_answer(system: RunningSystem, reader):
    """Each question sees one moment: the job is live or ended, never neither."""
    panda_ids = activate(system.database, 30)
    stop = threading.Event()

    def end_them() -> None:
        for panda_id in panda_ids:
            system.database.execute(
                "WITH gone AS (DELETE FROM jobs_live WHERE panda_id = %(id)s RETURNING *) "
                "INSERT INTO jobs_archive SELECT * FROM gone",
                {"id": panda_id},
            )
            if stop.is_set():
                return

    thread = threading.Thread(target=end_them)
    thread.start()
    try:
        for panda_id in panda_ids[::-1]:
            assert reader.get(f"why/job/{panda_id}").status_code == 200
    finally:
        stop.set()
        thread.join()


def test_the_answer_is_typed_in_the_document(system: RunningSystem):
    with httpx.Client(base_url=system.url) as nobody:
        document = nobody.get("/api/openapi.json").json()
    for path in ("/api/monitor/why/job/{panda_id}", "/api/monitor/why/task/{jedi_task_id}"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/WhyAnswer"}
    assert set(document["components"]["schemas"]["WhyAnswer"]["properties"]) == set(WhyAnswer.model_fields)
    assert "ReasonAnswer" in document["components"]["schemas"]
