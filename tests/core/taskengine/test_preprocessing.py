"""A first job works out the definition of a task: made, tried again, its report taken over, the real work begun."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.agents.preprocessor import Preprocessor
from core.agents.watchdog import Watchdog
from core.configuration import Timeouts
from core.database import Database, Row
from core.dataservice.catalogue import register_dataset
from core.errors import InvalidInput
from core.taskbuffer.killing import Killer, kill_jobs
from tests.core.taskengine.submitting import (
    accept,
    captured,
    files,
    history,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    send,
)
from tests.support.builders import (
    add_up,
    jobs_of_task,
    make_dataset,
    make_older,
    outputs_of,
    put_into,
    report,
    row_of,
    stored,
)

OWNER = Killer("Test User", False)
FOUND = {
    "%%INDS%%": "user.testuser.one,user.testuser.two",
    "%%INLFNLIST%%": "f2.txt,s3.txt,s4.txt",
    "reportVersion": "1.0.0",
}


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def good_runs(**changes: Any) -> dict[str, Any]:
    """What prun sends with --goodRunListXML."""
    return captured("goodruns", **changes)


def house(**changes: Any) -> dict[str, Any]:
    """The same of `panda run`."""
    return {
        "taskName": "user.testuser.found",
        "jobParameters": "cat %IN > %OUT",
        "outputs": ["all.txt"],
        "inputDataset": "user.testuser.one",
        "preproSpec": {"command": "./find.py --runs 7 > %OUT"},
        **changes,
    }


def agent(database: Database) -> int:
    """Its cycles until there is nothing left to do."""
    preprocessor, steps = Preprocessor(database, 1), 0
    while done := preprocessor.cycle():
        steps += done
    return steps


def end(database: Database, panda_id: int, found: Any = None, *, text: str | None = None, **verdict: Any) -> None:
    """Let a pilot bring the job to its end, with what it found."""
    put_into(database, panda_id, "running")
    meta_data = json.dumps(found) if text is None and found is not None else text
    status = verdict.pop("status", "finished")
    outputs = stored(outputs_of(database, panda_id))
    report(database, panda_id, status, output_report=outputs, meta_data=meta_data, **verdict)
    add_up(database)


def begun(database: Database, parameters: dict[str, Any] | None = None) -> tuple[int, int]:
    """A task and its preprocessing job."""
    task_id = accept(database, parameters or good_runs())
    assert agent(database) == 1
    [panda_id] = jobs_of_task(database, task_id)
    return task_id, panda_id


def in_order(database: Database, task_id: int) -> list[int]:
    """Its jobs in the order in which they were made."""
    return sorted(jobs_of_task(database, task_id))


def status(database: Database, task_id: int) -> str:
    return str(row_of_task(database, task_id)["status"])


def dialog(database: Database, task_id: int) -> str:
    return str(row_of_task(database, task_id)["error_dialog"])


def runs(database: Database, task_id: int) -> list[Row]:
    return [job for job in jobs(database, task_id) if job["job_index"] > 0]


def test_the_first_job_is_made_of_the_specification(site):
    task_id = accept(site, good_runs())
    assert (status(site, task_id), jobs_of_task(site, task_id)) == ("topreprocess", [])
    assert dialog(site, task_id).startswith("preproSpec: good run lists need services of ATLAS")
    agent(site)
    [job] = jobs(site, task_id)
    facts = ("job_status", "transformation", "prod_source_label", "job_index", "attempt_nr", "current_priority")
    assert [job[name] for name in facts] == ["defined", "preGoodRunList-00-00-01", "panda", 0, 1, 2000]
    assert (job["special_handling"], job["job_name"]) == ("preprocess", "user.testuser.goodruns.preprocess")
    [text] = site.fetch("SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s", {"id": job["panda_id"]})
    assert text["job_parameters"] == (
        "--goodRunListXML pre_captured.dat --goodRunListDataType AOD --goodRunListDS data25*,data26* "
        "--sourceURL http://127.0.0.1:28443"
    )
    assert files(site, task_id, "log") == [[f"user.testuser.goodruns.{task_id}.1.pp.log.tgz"]]
    assert history(site, task_id) == ["registered", "topreprocess", "preprocessing"]
    assert row_of_task(site, task_id)["n_jobs"] == 1
    assert agent(site) == 0


def test_what_it_found_becomes_the_input(site):
    task_id, panda_id = begun(site)
    end(site, panda_id, FOUND)
    assert status(site, task_id) == "preprocessing"
    agent(site)
    row = row_of_task(site, task_id)
    assert (row["status"], row["error_dialog"], row["n_files"]) == ("ready", "", 3)
    assert row["parameters"]["dsForIN"] == FOUND["%%INDS%%"]
    assert row["parameters"]["preproSpec"] == good_runs()["preproSpec"]
    assert [name for names in files(site, task_id, "input")[1:] for name in names] == ["f2.txt", "s3.txt", "s4.txt"]
    assert history(site, task_id) == ["registered", "topreprocess", "preprocessing", "registered", "ready"]
    assert [job["job_index"] for job in runs(site, task_id)] == [1, 2]
    place(site)
    run(site, *(job["panda_id"] for job in runs(site, task_id)))
    ended = row_of_task(site, task_id)
    counts = ("status", "n_jobs", "n_finished", "n_files", "n_files_finished", "n_files_failed")
    assert [ended[name] for name in counts] == ["done", 3, 3, 3, 3, 0]


def test_a_command_of_ones_own_comes_with_an_archive(site):
    spec = {"command": "./find.py --name 'a b' > preprocessed.json", "archiveName": "sources.abc.tar.gz"}
    task_id, panda_id = begun(site, good_runs(preproSpec=spec, processingType="panda-client-2.2.0-jedi-run"))
    assert row_of(site, panda_id)["transformation"] == "runPrepro-00-00-01"
    [text] = site.fetch("SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s", {"id": panda_id})
    assert text["job_parameters"] == (
        "-a sources.abc.tar.gz --sourceURL http://127.0.0.1:28443 -r . "
        '-p "./find.py%20--name%20%27a%20b%27%20%3E%20preprocessed.json" -o preprocessed.json'
    )
    assert dialog(site, task_id) == ""


@pytest.mark.parametrize(
    ("processing_type", "trans_path", "transformation"),
    [
        ("panda-client-2.2.0-jedi-run-evp", None, "preEvtPick-00-00-01"),
        ("panda-client-2.2.0-jedi-run-grl", None, "preGoodRunList-00-00-01"),
        ("panda-client-2.2.0-jedi-run", None, "runPrepro-00-00-01"),
        ("panda-client-2.2.0-jedi-run-grl", "http://here.example/trf/ours", "http://here.example/trf/ours"),
    ],
)
def test_the_kind_of_task_says_which_program_it_is(site, processing_type, trans_path, transformation):
    spec = {**good_runs()["preproSpec"], "transPath": trans_path}
    _, panda_id = begun(site, good_runs(preproSpec=spec, processingType=processing_type))
    assert row_of(site, panda_id)["transformation"] == transformation


def test_a_build_job_comes_after_it(site):
    parameters = captured("build", preproSpec=good_runs()["preproSpec"])
    task_id, panda_id = begun(site, parameters)
    end(site, panda_id, {"nEvents": 3})
    agent(site)
    assert [row_of(site, job)["transformation"] for job in in_order(site, task_id)] == [
        "runPrepro-00-00-01",
        "buildGen-00-00-01",
        *["runGen-00-00-02"] * 3,
    ]


# the dictionary of panda run


def test_a_command_of_panda_run_writes_the_list_of_files(site):
    make_dataset(site, "user.testuser.box", ["find.py"], at=["Q_DISK"])
    task_id, panda_id = begun(site, house(sandboxDataset="user.testuser.box"))
    [text] = site.fetch("SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s", {"id": panda_id})
    assert (text["job_parameters"], row_of(site, panda_id)["transformation"]) == (
        "./find.py --runs 7 > jobReport.json",
        "runShell",
    )
    assert files(site, task_id, "sandbox") == [["find.py"]]
    end(site, panda_id, {"inputFiles": ["f4.txt", "f1.txt"]})
    agent(site)
    assert files(site, task_id, "input")[1:] == [["f1.txt"], ["f4.txt"]]
    assert row_of_task(site, task_id)["parameters"]["inputFiles"] == ["f4.txt", "f1.txt"]


def test_it_may_say_how_many_jobs_there_are_and_what_they_need(site):
    parameters = house(inputDataset=None, jobParameters="echo %JOB > %OUT")
    task_id, panda_id = begun(site, parameters)
    end(site, panda_id, {"nJobs": 4, "ramCount": 1500, "site": "Q_B", "coreCount": 2})
    agent(site)
    row = row_of_task(site, task_id)
    assert [row[name] for name in ("ram_count", "site", "core_count")] == [1500, "Q_B", 2]
    assert {(job["min_ram_mb"], job["computing_site"]) for job in runs(site, task_id)} == {(1500, "Q_B")}
    assert len(runs(site, task_id)) == 4


def test_what_is_found_is_one_word_of_the_command(site):
    parameters = house(jobParameters="./cut %%CUT%% '%%CUT%%' %IN %%IN", inputDataset="%%DATA%%")
    task_id, panda_id = begun(site, parameters)
    end(site, panda_id, {"%%CUT%%": "pt > 5; rm -rf ~ 'x'", "%%DATA%%": "user.testuser.two"})
    agent(site)
    [text, *_] = site.fetch(
        "SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s", {"id": runs(site, task_id)[0]["panda_id"]}
    )
    quoted = "'pt > 5; rm -rf ~ '\"'\"'x'\"'\"''"
    assert text["job_parameters"] == f"./cut {quoted} {quoted} s1.txt %IN"


# attempts


def test_it_is_tried_again_and_one_at_a_time(site):
    task_id, first = begun(site)
    end(site, first, status="failed", pilot_error_code=1305, trans_exit_code=3)
    assert agent(site) == 1
    first, second = in_order(site, task_id)
    assert row_of(site, second)["attempt_nr"] == 2
    assert (status(site, task_id), agent(site)) == ("preprocessing", 0)
    end(site, second, FOUND)
    agent(site)
    assert (status(site, task_id), row_of_task(site, task_id)["n_failed"]) == ("ready", 1)
    assert files(site, task_id, "log")[1] == [f"user.testuser.goodruns.{task_id}.2.pp.log.tgz"]


def test_a_job_that_fails_for_good_breaks_the_task(site):
    task_id, _ = begun(site)
    for _ in range(3):
        end(site, in_order(site, task_id)[-1], status="failed", pilot_error_code=1305, trans_exit_code=69)
        agent(site)
    last = in_order(site, task_id)[-1]
    assert (status(site, task_id), len(jobs_of_task(site, task_id))) == ("broken", 3)
    said = dialog(site, task_id)
    assert said.startswith(f"preproSpec: the preprocessing job {last} has failed in attempt 3: pilot 1305")
    assert f"panda why {last}" in said
    assert history(site, task_id)[-2:] == ["tobroken", "broken"]
    assert row_of_task(site, task_id)["end_time"] is not None


def test_an_error_of_the_command_of_panda_run_breaks_the_task_at_once(site):
    task_id, panda_id = begun(site, house())
    end(site, panda_id, status="failed", pilot_error_code=1305, trans_exit_code=1)
    agent(site)
    assert (status(site, task_id), len(jobs_of_task(site, task_id))) == ("broken", 1)


def test_a_killed_job_breaks_the_task_and_a_moved_one_is_made_again(site):
    task_id, panda_id = begun(site)
    assert kill_jobs(site, [panda_id], Killer("operator", True), 51) == [True]
    agent(site)
    first, second = in_order(site, task_id)
    assert (row_of(site, first)["job_status"], status(site, task_id)) == ("closed", "preprocessing")
    assert kill_jobs(site, [second], OWNER) == [True]
    agent(site)
    assert status(site, task_id) == "broken"
    assert dialog(site, task_id).startswith(f"preproSpec: the preprocessing job {second} was cancelled in attempt 2")


def test_a_job_that_is_gone_without_a_trace_is_made_again(site):
    task_id, panda_id = begun(site)
    site.execute("DELETE FROM jobs_live WHERE panda_id = %(id)s", {"id": panda_id})
    agent(site)
    assert len(jobs_of_task(site, task_id)) == 1
    assert jobs_of_task(site, task_id) != [panda_id]


def test_a_queue_that_is_gone_breaks_the_task_with_its_field(site):
    task_id = accept(site, good_runs(site="Q_C"))
    site.execute("DELETE FROM queues WHERE queue_name = 'Q_C'")
    agent(site)
    assert (status(site, task_id), dialog(site, task_id)[:5]) == ("broken", "site:")


# reports

GARBAGE: list[tuple[str, str]] = [
    ("", "brought no report"),
    ("  ", "brought no report"),
    ("this is no json", "is no JSON"),
    ("{", "is no JSON"),
    ("[1, 2]", "is no object: it begins with '[1, 2]'"),
    ('"%%INDS%%"', "is no object"),
    ("null", "is no object"),
    ("[" * 100_000, "is no JSON"),
    ('{"%%INDS%%": NaN}', "is no JSON"),
    ('{"%%INDS%%": 1e999}', "is no JSON"),
    ('{"%%INDS%%": "a\\u0000b"}', "holds a NUL character"),
    ('{"%%INDS%%": "\\ud800"}', "is no JSON"),
    ("{}", "says nothing of the task: it is empty"),
    ('{"reportVersion": "1.0.0", "weather": "fine"}', "says nothing of the task: reportVersion, weather"),
    ('{"x": "' + "y" * (17 * 2**20) + '"}', "larger than 16 MB"),
]


@pytest.mark.parametrize(("text", "said"), GARBAGE, ids=[text[:20] for text, _ in GARBAGE])
def test_a_report_that_makes_no_definition_breaks_the_task(site, text, said):
    task_id, panda_id = begun(site)
    before = row_of_task(site, task_id)["parameters"]
    end(site, panda_id, text=text or None)
    agent(site)
    assert (status(site, task_id), said in dialog(site, task_id)) == ("broken", True), dialog(site, task_id)
    assert dialog(site, task_id).startswith("preproSpec: ")
    assert row_of_task(site, task_id)["parameters"] == before


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("jobParameters.6.dataset", "no dataset", {"%%INDS%%": "user.testuser.nowhere", "%%INLFNLIST%%": ["x"]}),
    ("jobParameters.6.files", "f9.txt", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": ["f1.txt", "f9.txt"]}),
    ("dsForIN", "nothing for", {"%%INDS%%": "", "%%INLFNLIST%%": "f1.txt"}),
    ("jobParameters.6.files", "nothing for", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": []}),
    ("jobParameters.6.files", "nothing for", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": [""]}),
    ("jobParameters.6.files", "nothing for", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": None}),
    ("jobParameters.6.files", "not a list of names", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": {"a": 1}}),
    ("jobParameters.6.files", "more than", {"%%INDS%%": "user.testuser.one", "%%INLFNLIST%%": ["x"] * 100_001}),
    ("jobParameters.6.files", "said nothing of", {"%%INDS%%": "user.testuser.one"}),
    ("nFilesPerJob", "will not do", {**FOUND, "nFilesPerJob": "many"}),
    ("site", "no queue", {**FOUND, "site": "NOWHERE"}),
    ("includedSite", "no queue", {**FOUND, "includedSite": ["NOWHERE"]}),
    ("outputs", "cannot be changed", {**FOUND, "outputs": ["x"]}),
    ("inputDataset", "is for tasks of", {**FOUND, "inputDataset": "user.testuser.one"}),
    ("nFilesPerJbo", "nFilesPerJob may be meant", {**FOUND, "nFilesPerJbo": 2}),
    *(
        (name, "cannot be changed by a preprocessing job", {**FOUND, name: "x"})
        for name in ("taskName", "userName", "workingGroup", "taskPriority", "currentPriority", "prodSourceLabel", "vo")
    ),
    ("jobParameters", "cannot be changed", {**FOUND, "jobParameters": []}),
    ("preproSpec", "cannot be changed", {**FOUND, "preproSpec": {}}),
]


@pytest.mark.parametrize(
    ("field", "said", "found"), WRONG, ids=[f"{number}-{field}" for number, (field, _, _) in enumerate(WRONG)]
)
def test_what_is_wrong_in_it_is_named(site, field, said, found):
    task_id, panda_id = begun(site)
    end(site, panda_id, found)
    agent(site)
    assert status(site, task_id) == "broken"
    assert dialog(site, task_id).startswith(f"{field}: ")
    assert said in dialog(site, task_id)
    assert jobs_of_task(site, task_id) == [panda_id]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("inputFiles", {"inputFiles": ["f1.txt", "nothing.txt"]}),
        ("inputDataset", {"inputDataset": "user.testuser.nowhere"}),
        ("nJobs", {"nJobs": 5}),
        ("nEventsPerJob", {"nEventsPerJob": 5}),
        ("ramCount", {"ramCount": -1}),
        ("pfnList", {"pfnList": ["/a"]}),
    ],
)
def test_what_is_wrong_for_panda_run_is_named_too(site, field, found):
    task_id, panda_id = begun(site, house())
    end(site, panda_id, found)
    agent(site)
    assert (status(site, task_id), dialog(site, task_id).split(":")[0]) == ("broken", field)


def test_one_that_breaks_keeps_no_other_waiting(site):
    bad, bad_job = begun(site)
    good, good_job = begun(site, good_runs(taskName="user.testuser.good/"))
    end(site, bad_job, text="nonsense")
    end(site, good_job, FOUND)
    agent(site)
    assert (status(site, bad), status(site, good)) == ("broken", "ready")


def test_a_name_that_no_index_can_hold_is_refused_as_one(site):
    task_id, panda_id = begun(site)
    end(site, panda_id, {**FOUND, "%%INDS%%": "x" * 5_000_000})
    agent(site)
    assert status(site, task_id) == "broken"
    assert dialog(site, task_id).startswith("jobParameters.6.dataset: ")


# at the door


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("preproSpec", {"preproSpec": "./find.py"}),
        ("preproSpec.command", {"preproSpec": {}}),
        ("preproSpec.command", {"preproSpec": {"command": " "}}),
        ("preproSpec.command", {"preproSpec": {"command": ["a"]}}),
        ("preproSpec.comand", {"preproSpec": {"comand": "./find.py"}}),
        ("preproSpec.jobParameters", {"preproSpec": {"jobParameters": "./find.py"}}),
        ("preproSpec.prodSourceLabel", {"preproSpec": {"command": "x", "prodSourceLabel": "managed"}}),
        ("inputFiles", {"inputFiles": 5}),
        ("inputFiles", {"inputFiles": ["a"], "inputDataset": None, "jobParameters": "x"}),
        ("preproSpek", {"preproSpek": {"command": "x"}, "preproSpec": None}),
    ],
)
def test_a_specification_that_cannot_be_meant_is_refused(site, field, changes):

    with pytest.raises(InvalidInput) as refused:
        send(site, house(**changes))
    assert refused.value.field == field


def test_files_may_be_chosen_without_a_first_job_too(site):
    task_id = accept(site, house(preproSpec=None, inputFiles=["f2.txt", "f5.txt"]))
    assert files(site, task_id, "input") == [["f2.txt"], ["f5.txt"]]


def test_nothing_to_do_is_done_where_that_is_allowed(site):
    name = "user.testuser.empty"
    register_dataset(
        site, name=name, scope="user.testuser", kind="input", owner="Test User", vo="testvo", files=[], is_open=True
    )
    task_id, panda_id = begun(site, house(allowEmptyInput=True))
    end(site, panda_id, {"inputDataset": name})
    agent(site)
    row = row_of_task(site, task_id)
    assert [row[name] for name in ("status", "n_jobs", "n_finished", "n_files")] == ["done", 1, 1, 0]


def test_two_agents_at_once_make_one_job_and_fill_in_once(site):
    task_ids = [accept(site, good_runs(taskName=f"user.testuser.many{number}/")) for number in range(6)]

    def together() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: agent(site), range(8)))

    together()
    assert [len(jobs_of_task(site, task_id)) for task_id in task_ids] == [1] * 6
    for task_id in task_ids:
        end(site, jobs_of_task(site, task_id)[0], FOUND)
    together()
    agent(site)
    for task_id in task_ids:
        assert history(site, task_id) == ["registered", "topreprocess", "preprocessing", "registered", "ready"]
        assert (row_of_task(site, task_id)["n_files"], len(jobs_of_task(site, task_id))) == (3, 3)


def test_the_rules_for_failed_jobs_raise_the_memory_of_the_next_attempt(site):
    task_id, first = begun(site)
    site.execute("UPDATE task_files SET ram_mb = 3000 WHERE panda_id = %(id)s", {"id": first})
    end(site, first, status="failed", pilot_error_code=1212)
    agent(site)
    assert row_of(site, in_order(site, task_id)[-1])["min_ram_mb"] == 4000


def test_one_that_no_queue_takes_for_long_is_made_again_and_not_given_up(site):
    task_id, first = begun(site, good_runs(prodSourceLabel="managed", preproSpec=managed()))
    place(site)
    put_into(site, first, "defined")
    make_older(site, first, "state_change_time", 40 * 86400)
    make_older(site, first, "modification_time", 40 * 86400)
    make_older(site, first, "creation_time", 40 * 86400)
    Watchdog(site, Timeouts(), 1).cycle()
    assert row_of(site, first)["job_status"] == "closed"
    agent(site)
    assert (status(site, task_id), len(in_order(site, task_id))) == ("preprocessing", 2)


def managed() -> dict[str, Any]:
    """Of production, where the jobs have the label of the task."""
    return {**good_runs()["preproSpec"], "prodSourceLabel": "managed"}
