"""The proof: the unmodified prun submits, the unmodified pilot runs, the unmodified pbook shows."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.queues import set_endpoint, set_queue
from logger.agents import build_agents
from pandascope.supervisor.composition import create_server
from tests.real.grid import (
    CASES,
    CULPRIT,
    EMPTY,
    HARVESTER,
    LICENCE,
    Grid,
    register_inputs,
    run_pilots,
    start_pilot,
    submit,
)
from tests.support.real_world import RealClient
from tests.support.system import RunningSystem, eventually, running_system

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def grid(
    module_database_url: str,
    client_program: Path,
    pilot_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Grid]:
    """Submits every case, runs a pilot for each, and waits until all have ended."""
    directory = tmp_path_factory.mktemp("grid")
    with running_system(
        module_database_url, directory, further_agents=build_agents, make_server=create_server
    ) as system:
        token = system.token("testuser", "production", name="test user")
        home = directory / "home"
        home.mkdir()
        grid = Grid(system, RealClient(client_program, system.url, token, home), work=directory / "pilots")
        grid.work.mkdir()
        set_endpoint(system.database, "REAL_DISK", mover="cp", path=str(system.storage), is_deterministic=True)
        set_queue(system.database, EMPTY, {"site": "REAL", "storage_endpoint": "REAL_DISK"})
        register_inputs(grid)
        for name, case in CASES.items():
            submit(grid, name, case)
        announce_worker(system)
        with run_pilots(grid, pilot_program):
            act(grid)
            eventually(lambda: grid.waits("again", attempt=2), timeout_s=240, what="what failed is tried again")
            start_pilot(grid, pilot_program, "again")
            for case in CASES:
                eventually(lambda case=case: grid.ended(case), timeout_s=400, what=f"{case} ends")
            for name, process in grid.pilots.items():
                assert process.wait(300) == 0, (name, grid.pilot_output(name)[-2000:])
        grid.printed["show"] = grid.client.run("pbook", "showl")
        yield grid


def announce_worker(system: RunningSystem) -> None:
    """Tell of the worker as its Harvester does before the pilot starts (server-api.md 4)."""
    worker = {"workerID": int(HARVESTER["HARVESTER_WORKER_ID"]), "status": "submitted", "computingSite": "Q_TALKS"}
    factory = system.client("factory", "production")
    system.v1(factory, "harvester/update_workers", harvester_id=HARVESTER["HARVESTER_ID"], workers=[worker])


def act(grid: Grid) -> None:
    """What people do while the payloads run."""
    for case in ("killed", "talks"):
        eventually(lambda case=case: grid.job(case)["job_status"] == "running", timeout_s=120, what=f"{case} runs")
    grid.printed["kill"] = grid.client.run("pbook", "kill", str(grid.tasks["killed"]))
    talking = grid.job("talks")["panda_id"]
    grid.printed["debug"] = grid.client.run("pbook", "debug", str(talking), "True")
    grid.printed["shown"] = eventually(lambda: grid.log("talks", "debug.stdout"), timeout_s=60, what="debug output")
    grid.system.v1(grid.reader("production"), "job/set_command", job_id=talking, command="ls -l")
    eventually(lambda: "pilotlog.txt" in grid.log("talks", "debug.stdout"), timeout_s=60, what="what ls found")


def test_a_job_of_prun_runs_in_the_production_pilot(grid):
    job = grid.job("good")
    assert (job["job_status"], job["pilot_error_code"], job["trans_exit_code"]) == ("finished", 0, 0)
    assert (job["prod_user_name"], job["attempt_nr"], job["vo"]) == ("Test User", 1, "testvo")
    assert "3.7.0.36" in job["pilot_id"]
    lines, parts = grid.files("good", "output")
    assert Path(lines["pfn"]).read_text().strip() == "3"
    with tarfile.open(parts["pfn"]) as archive:
        assert sorted(archive.getnames()) == ["part1.dat", "part2.dat"]


@pytest.mark.parametrize("kind", ["output", "log"])
def test_size_and_checksum_on_the_server_are_those_of_the_file(grid, kind):
    file = grid.files("good", kind)[0]
    stored = Path(file["pfn"]).read_bytes()
    assert file["status"] == "ready"
    assert file["size_bytes"] == len(stored)
    assert file["checksum"] == f"ad:{zlib.adler32(stored):08x}"
    assert re.fullmatch(r"[0-9a-f-]{36}", file["guid"])
    dataset = grid.system.client("testuser", name="test user").get(f"/api/control/dataset/{file['dataset']}").json()
    assert [entry["lfn"] for entry in dataset["files"]] == [file["lfn"]]


def test_the_log_archive_holds_what_the_payload_wrote(grid):
    (log,) = grid.files("good", "log")
    with tarfile.open(log["pfn"]) as archive:
        assert any(name.endswith("payload.stdout") for name in archive.getnames())


def test_pbook_shows_the_tasks_as_they_ended(grid):
    lines = {case: next(line for line in grid.printed["show"].splitlines() if f".{case}" in line) for case in CASES}
    assert {case: line.split()[1] for case, line in lines.items()} == {
        "good": "done",
        "exit3": "failed",
        "missing": "failed",
        "killed": "aborted",
        "lost": "failed",
        "talks": "done",
        "built": "done",
        "again": "done",
    }
    assert str(grid.tasks["good"]) in lines["good"]
    assert "100%" in lines["good"]


def test_exit_3_of_the_payload_is_told_with_its_line(grid):
    job = grid.job("exit3")
    assert (job["job_status"], job["pilot_error_code"], job["trans_exit_code"]) == ("failed", 1305, 3)
    assert [file["status"] for file in grid.files("exit3", "output")] == ["failed"]
    assert [file["status"] for file in grid.files("exit3", "log")] == ["ready"]
    row = eventually(lambda: incident_of(grid, "exit3"), what="the failure becomes an incident")
    assert row["culprit_line"] == CULPRIT


def incident_of(grid: Grid, case: str, **further: str) -> dict[str, Any] | None:
    """The latest incident of the task of a case."""
    params = {"jedi_task_id": grid.tasks[case], **further}
    rows = grid.reader().get("/api/monitor/incidents", params=params).json()["incidents"]
    return rows[0] if rows else None


def test_a_missing_output_is_1165(grid):
    job = grid.job("missing")
    assert (job["job_status"], job["pilot_error_code"]) == ("failed", 1165)


def test_a_kill_by_pbook_ends_the_payload(grid):
    assert "will be killed" in grid.printed["kill"]
    job = grid.job("killed")
    assert (job["job_status"], job["pilot_error_code"]) == ("cancelled", 1144)


def test_an_empty_queue_answers_20(grid):
    printed = grid.pilot_output("empty")
    assert re.search(r"StatusCode\W+20|status ?code\D+20|no jobs", printed, re.IGNORECASE), printed[-3000:]


def test_the_jobs_appear_in_the_monitor_like_any_others(grid):
    reader = grid.system.client("testuser", name="test user")
    page = reader.get("/api/monitor/jobs", params={"prod_user_name": "Test User"}).json()
    assert {row["jedi_task_id"] for row in page["jobs"]} == set(grid.tasks.values())
    tasks = reader.get("/api/monitor/tasks", params={"user_name": "Test User"}).json()["tasks"]
    assert {row["task_name"] for row in tasks} == {f"user.testuser.{case}/" for case in CASES}
    detail = reader.get(f"/api/monitor/job/{grid.job('good')['panda_id']}").json()
    assert {file["type"] for file in detail["files"]} >= {"input", "output", "log"}


def test_what_the_payload_says_of_itself_is_collected_by_pbook(grid):
    job = grid.job("good")
    answer = grid.reader().get("/api/v1/job/get_metadata_for_analysis_jobs", params={"task_id": grid.tasks["good"]})
    assert answer.json()["data"][str(job["panda_id"])]["user_job_metadata"] == {"lines": 3}


def test_one_pilot_builds_and_then_runs_both_jobs_of_the_task(grid):
    jobs = grid.jobs("built")
    assert [(job["prod_source_label"], job["job_status"]) for job in jobs] == [
        ("panda", "finished"),
        ("user", "finished"),
        ("user", "finished"),
    ]
    # from the second call on the pilot names the task of its last job
    assert f"&taskID={grid.tasks['built']}&" in f"&{grid.last_form('built', 'getJob')}&"


def test_what_failed_is_run_again_by_the_production_pilot_and_nothing_else_is(grid):
    failed, other, again = grid.jobs("again")
    assert [(job["job_status"], job["attempt_nr"]) for job in (failed, other, again)] == [
        ("failed", 1),
        ("finished", 1),
        ("finished", 2),
    ]
    files = grid.system.database.fetch(
        "SELECT lfn, status, panda_id, attempt_nr, failed_attempt FROM task_files WHERE jedi_task_id = %(id)s"
        " AND lfn <> '' ORDER BY lfn",
        {"id": grid.tasks["again"]},
    )
    assert [tuple(file.values()) for file in files] == [
        ("first.txt", "finished", again["panda_id"], 2, 1),
        ("second.txt", "finished", other["panda_id"], 1, 0),
    ]
    line = next(line for line in grid.printed["show"].splitlines() if ".again" in line)
    assert re.search(r"100%\s+2\|0\|2", line), line


def test_the_page_of_a_job_that_was_tried_again_tells_of_both_attempts(grid):
    failed, _, again = grid.jobs("again")
    first, second = (grid.reader().get(f"/api/monitor/job/{job['panda_id']}").json() for job in (failed, again))
    assert first["job"]["culprit_line"] == LICENCE
    assert first["retries"]["sentence"].startswith("attempt 1 of ")
    assert first["retries"]["sentence"].endswith(f"tried again as job {again['panda_id']}")
    assert [job["panda_id"] for job in first["retries"]["next"]] == [again["panda_id"]]
    assert second["job"]["parent_id"] == failed["panda_id"]
    assert second["retries"]["sentence"].startswith("attempt 2 of ")
    trouble = eventually(lambda: incident_of(grid, "again", candidates="1"), what="the first failure is counted")
    assert (trouble["state"], trouble["culprit_line"], trouble["job_count"]) == ("candidate", LICENCE, 1)
    assert incident_of(grid, "again") is None, "what the system mended by itself bothers nobody"


def test_a_running_payload_is_watched_and_asked_through_its_pilot(grid):
    assert "Succeeded" in grid.printed["debug"]
    assert re.search(r"^line \d+$", grid.printed["shown"], re.MULTILINE)


def test_start_and_end_of_the_pilot_are_kept_with_the_worker(grid):
    (worker,) = grid.system.database.fetch(
        "SELECT pilot_status, pilot_start_time, pilot_end_time FROM harvester_workers"
    )
    assert worker["pilot_status"] == "finished"
    assert worker["pilot_start_time"] < worker["pilot_end_time"]


def test_an_input_that_storage_has_lost_is_named(grid):
    job = grid.job("lost")
    assert (job["job_status"], job["pilot_error_code"], job["trans_exit_code"]) == ("failed", 1305, 66)
    detail = grid.reader().get(f"/api/monitor/job/{job['panda_id']}").json()
    assert "the input file lost.txt is not at the storage any more" in detail["job"]["culprit_line"]


@pytest.mark.parametrize(("case", "attempt", "command"), [("good", 1, "alreadydone"), ("exit3", 2, "badattemptnr")])
def test_a_last_report_sent_again_changes_nothing(grid, case, attempt, command):
    before = grid.job(case), grid.files(case, "output"), grid.files(case, "log")
    form = grid.last_form(case, "updateJob").replace("attemptNr=1", f"attemptNr={attempt}")
    answer = grid.system.client("pilot", "pilot").post("/server/panda/updateJob", content=form)
    assert answer.json() == {"StatusCode": 0, "command": command}
    assert (grid.job(case), grid.files(case, "output"), grid.files(case, "log")) == before
