"""A job's whole life over HTTP, with the pilot's part spoken by hand."""

from __future__ import annotations

import json

import httpx

from tests.support.system import RunningSystem, eventually


def submit(client: httpx.Client, system: RunningSystem, **job: object) -> int:
    record = {"transformation": "/bin/true", "prodSourceLabel": "user", "computingSite": "LOCAL", **job}
    return int(system.v1(client, "job/submit", jobs=json.dumps([record]))[0][0])


def acquire(client: httpx.Client, **offer: object) -> dict[str, object] | None:
    answer = client.post(
        "/api/v1/pilot/acquire_jobs", json={"site_name": "LOCAL", "prod_source_label": "user", **offer}
    ).json()
    return answer["data"]["jobs"][0] if answer["success"] else None


def stored(job: dict[str, object]) -> str:
    return json.dumps(
        {
            file["lfn"]: {"guid": "", "fsize": 3, "adler32": "01c2009c", "surl": file["pfn"]}
            for file in job["panda_files"]
        }
    )


def status_of(system: RunningSystem, client: httpx.Client, panda_id: int) -> str:
    return str(client.get("/api/v1/job/get_status", params={"job_ids": panda_id}).json()["data"][0]["status"])


def test_a_job_goes_from_submission_to_finished(system: RunningSystem) -> None:
    user, pilot = system.client("alice"), system.client("pilot", "pilot")
    panda_id = submit(user, system, Files=[{"lfn": "o.txt", "type": "output"}])
    job = eventually(lambda: acquire(pilot), what="the job is activated")
    assert job["PandaID"] == panda_id
    for status in ("starting", "running"):
        data = system.v1(pilot, "pilot/update_job", job_id=panda_id, job_status=status, attempt_nr=1)
        assert data == {"StatusCode": 0, "command": None}
    system.v1(
        pilot, "pilot/update_job", job_id=panda_id, job_status="finished", attempt_nr=1, job_output_report=stored(job)
    )
    eventually(lambda: status_of(system, user, panda_id) == "finished", what="the adder ends the job")
    history = [
        row["job_status"]
        for row in system.database.fetch(
            "SELECT job_status FROM job_history WHERE panda_id = %(i)s ORDER BY history_id", {"i": panda_id}
        )
    ]
    assert history == ["defined", "activated", "sent", "starting", "running", "holding", "finished"]
    files = {
        file["type"]: file
        for file in user.post("/api/v1/job/get_description", json={"job_ids": [panda_id]}).json()["data"][0]["Files"]
    }
    assert files["output"]["status"] == "ready"
    assert files["output"]["fsize"] == 3
    assert files["output"]["GUID"]
