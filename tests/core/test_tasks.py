"""Tasks in their first form: cutting, names, words in the command, refusals."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from core.database import Database
from core.errors import Conflict, InvalidInput, NotAllowed, PandaError, UnknownObject
from core.taskbuffer.killing import Killer
from core.tasks import MAX_JOBS, fill_in, numbered_name, submit_task, task_outputs, task_status
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    everything,
    jobs_of_task,
    kill_task,
    make_dataset,
    make_queue,
    make_task,
    outputs_of,
    report,
    report_finished,
    row_of,
    stored,
    submit,
)

OWNER, STRANGER, MANAGER = Killer("alice", False), Killer("bob", False), Killer("carol", True)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    make_dataset(shared_database, "ten", [f"{number}.txt" for number in range(10)], at=["Q_DISK"])
    make_dataset(shared_database, "tools", ["count.py"], at=["Q_DISK"], kind="sandbox")
    return shared_database


def files_of(database: Database, panda_id: int, kind: str) -> list[str]:
    rows = database.fetch(
        "SELECT lfn FROM job_files WHERE panda_id = %(id)s AND type = %(kind)s ORDER BY row_id",
        {"id": panda_id, "kind": kind},
    )
    return [row["lfn"] for row in rows]


def commands(database: Database, task_id: int) -> list[str]:
    rows = database.fetch(
        "SELECT job_parameters FROM job_parameters WHERE panda_id = ANY(%(ids)s) ORDER BY panda_id",
        {"ids": jobs_of_task(database, task_id)},
    )
    return [row["job_parameters"] for row in rows]


@pytest.mark.parametrize(
    ("per_job", "sizes"), [(1, [1] * 10), (3, [3, 3, 3, 1]), (10, [10]), (11, [10]), ("4", [4, 4, 2])]
)
def test_input_is_cut_into_jobs_in_the_order_of_its_files(site, per_job, sizes):
    task_id = make_task(site, inputDataset="ten", nFilesPerJob=per_job, jobParameters="cat %IN")
    inputs = [files_of(site, panda_id, "input") for panda_id in jobs_of_task(site, task_id)]
    assert [len(chunk) for chunk in inputs] == sizes
    assert [lfn for chunk in inputs for lfn in chunk] == [f"{number}.txt" for number in range(10)]
    assert commands(site, task_id) == [f"cat {' '.join(chunk)}" for chunk in inputs]


def test_a_task_without_input_makes_the_jobs_it_asks_for(site):
    task_id = make_task(site, nJobs=3, jobParameters="echo %JOB of %%JOB > %OUT", outputs=["o.txt"])
    assert commands(site, task_id) == [f"echo {number} of %JOB > o.txt" for number in (1, 2, 3)]
    assert len(jobs_of_task(site, make_task(site))) == 1


def test_outputs_are_numbered_by_job_and_keep_their_local_name(site):
    task_id = make_task(
        site, taskName="num", nJobs=2, outputs=["o.txt", "dir/plot"], jobParameters="x > %OUT2 2> %OUT1"
    )
    assert commands(site, task_id)[0] == "x > dir/plot 2> o.txt"
    first, second = jobs_of_task(site, task_id)
    assert files_of(site, first, "output") == ["o.000001.txt", "dir/plot.000001"]
    assert files_of(site, second, "output") == ["o.000002.txt", "dir/plot.000002"]
    assert files_of(site, second, "log") == [f"job.{second}.000002.log.tgz"]
    rows = site.fetch("SELECT DISTINCT dataset, local_name FROM job_files WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert {row["dataset"] for row in rows} == {f"num.{task_id}_out", f"num.{task_id}_log"}
    assert {row["local_name"] for row in rows} >= {"o.txt", "dir/plot"}


def test_the_sandbox_goes_with_every_job(site):
    task_id = make_task(
        site, inputDataset="ten", nFilesPerJob=5, sandboxDataset="tools", jobParameters="python count.py %IN"
    )
    assert [files_of(site, panda_id, "sandbox") for panda_id in jobs_of_task(site, task_id)] == [["count.py"]] * 2
    assert "count.py 0.txt 1.txt" in commands(site, task_id)[0]


def test_the_needs_of_a_task_are_the_needs_of_its_jobs(site):
    task_id = make_task(
        site,
        ramCount=500,
        coreCount=4,
        maxWalltime=60,
        maxDiskCount=70,
        loopingLimit=80,
        taskPriority=900,
        maxAttempt=3,
        prodSourceLabel="test",
        workingGroup="g",
        processingType="p",
        vo="other",
    )
    row = row_of(site, jobs_of_task(site, task_id)[0])
    needs = (
        "min_ram_mb",
        "core_count",
        "max_walltime_s",
        "max_disk_mb",
        "looping_limit_s",
        "current_priority",
        "max_attempt",
    )
    assert [row[name] for name in needs] == [500, 4, 60, 70, 80, 900, 3]
    assert [row[name] for name in ("prod_source_label", "working_group", "processing_type", "vo")] == [
        "test",
        "g",
        "p",
        "other",
    ]
    assert (row["prod_user_name"], row["computing_site"], row["transformation"]) == ("alice", "Q", "runShell")


def test_the_dictionary_is_kept_as_submitted_and_ids_begin_high(site):
    parameters = {
        "taskName": "kept",
        "jobParameters": "true",
        "site": "Q",
        "unknownKey": {"a": [1, None, "é"]},
        "nJobs": "2",
    }
    task_id = submit_task(site, parameters, user_name="alice", vo="testvo")
    assert task_id >= 10_000_000
    row = site.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert row is not None
    assert row["parameters"] == parameters
    assert (row["status"], row["n_jobs"], row["n_input_files"], row["user_name"]) == ("ready", 2, 0, "alice")


def test_a_list_of_items_as_the_real_client_sends_it_is_understood(site):
    items = [
        {"type": "constant", "value": "--in"},
        {"type": "template", "value": "%IN", "padding": False},
        {"type": "constant", "value": ",x"},
        {"type": "template", "value": "secret", "hidden": True},
    ]
    task_id = make_task(site, inputDataset="ten", nFilesPerJob=10, jobParameters=items)
    assert commands(site, task_id)[0].startswith("--in 0.txt 1.txt")
    assert commands(site, task_id)[0].endswith("9.txt,x")


WRONG = [
    ("taskName", {"taskName": None}),
    ("taskName", {"taskName": ""}),
    ("taskName", {"taskName": ["x"]}),
    ("taskName", {"taskName": "x" * 241}),
    ("taskName", {"taskName": "é" * 121}),
    ("taskName", {"taskName": "a\nb"}),
    ("taskName", {"taskName": "a\x00b"}),
    ("jobParameters", {"jobParameters": 5}),
    ("jobParameters", {"jobParameters": ["x"]}),
    ("jobParameters", {"jobParameters": "a\x00b"}),
    ("jobParameters", {"jobParameters": "x" * (16 * 2**20 + 1)}),
    ("inputDataset", {"inputDataset": "nothing"}),
    ("inputDataset", {"inputDataset": 5}),
    ("sandboxDataset", {"sandboxDataset": "nothing"}),
    ("site", {"site": "NOWHERE"}),
    ("site", {"site": {}}),
    ("vo", {"vo": ["x"]}),
    ("prodSourceLabel", {"prodSourceLabel": "production"}),
    ("nJobs", {"nJobs": 0}),
    ("nJobs", {"nJobs": MAX_JOBS + 1}),
    ("nJobs", {"nJobs": 2, "inputDataset": "ten"}),
    ("nFilesPerJob", {"nFilesPerJob": 0}),
    ("nFilesPerJob", {"nFilesPerJob": "²"}),
    ("nFilesPerJob", {"nFilesPerJob": "9" * 5000}),
    ("coreCount", {"coreCount": 0}),
    ("coreCount", {"coreCount": 10**6}),
    ("coreCount", {"coreCount": True}),
    ("ramCount", {"ramCount": -1}),
    ("ramCount", {"ramCount": 10**9}),
    ("maxWalltime", {"maxWalltime": 1.5}),
    ("maxDiskCount", {"maxDiskCount": "much"}),
    ("loopingLimit", {"loopingLimit": [1]}),
    ("taskPriority", {"taskPriority": 10**7}),
    ("maxAttempt", {"maxAttempt": 51}),
    ("outputs", {"outputs": "o.txt"}),
    ("outputs", {"outputs": [5]}),
    ("outputs", {"outputs": [""]}),
    *[("outputs", {"outputs": [name]}) for name in (".", "/", "..", "/abs", "../up", "a/../../b", "x" * 250, "a\x00b")],
    ("outputs", {"outputs": ["a", "./a"]}),
    ("outputs", {"outputs": ["3.txt"], "inputDataset": "ten"}),
    ("outputs", {"outputs": ["count.py"], "sandboxDataset": "tools"}),
    ("sandboxDataset", {"sandboxDataset": "ten", "inputDataset": "ten"}),
    ("outputs", {"jobParameters": "x > %OUT"}),
    ("outputs", {"jobParameters": "x > %OUT2", "outputs": ["a"]}),
    ("outputs", {"jobParameters": "x > %OUT0", "outputs": ["a"]}),
]


@pytest.mark.parametrize(
    ("field", "wrong"), WRONG, ids=[f"{number}-{field}" for number, (field, _) in enumerate(WRONG)]
)
def test_every_refusal_names_its_field_and_keeps_nothing(site, field, wrong):
    before = everything(site)
    with pytest.raises(PandaError) as refused:
        make_task(site, **wrong)
    assert refused.value.field == field
    assert refused.value.remedy
    assert refused.value.detail
    assert everything(site) == before


def test_too_many_pieces_are_refused_before_any_is_made(site, monkeypatch):
    monkeypatch.setattr("core.taskengine.making.contents.MAX_ROWS_PER_TASK", 9)
    with pytest.raises(InvalidInput) as refused:
        make_task(site, inputDataset="ten", nFilesPerJob=1)
    assert refused.value.field == "nFiles"


@pytest.mark.parametrize(
    ("name", "numbered"),
    [
        ("counts.txt", "counts.000003.txt"),
        ("plot", "plot.000003"),
        ("a/b/c.tar.gz", "a/b/c.tar.000003.gz"),
        (".hidden", ".hidden.000003"),
        ("two words.txt", "two words.000003.txt"),
    ],
)
def test_numbered_names(name, numbered):
    assert numbered_name(name, 3) == numbered


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("%IN", "a 'b c'"),
        ("%%IN", "%IN"),
        ("%%%IN", "%%IN"),
        ("%OUT %OUT1 %OUT2", "o o p"),
        ("%%OUT2", "%OUT2"),
        ("%INPUT %OUTER %JOBS", "%INPUT %OUTER %JOBS"),
        ("%%INPUT", "%%INPUT"),
        ("date +%H:%M:%S 100%", "date +%H:%M:%S 100%"),
        ("%OUT12345", "%OUT12345"),
        ("%JOB.%JOB", "7.7"),
        ("'%IN'", "'a 'b c''"),
        ("", ""),
    ],
)
def test_words_of_a_command(text, filled):
    assert fill_in(text, ["a", "b c"], ["o", "p"], 7) == filled


any_name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)


@given(names=st.lists(any_name, min_size=1, max_size=6))
@example(
    names=["-n", "--help", "a b", "it's", '"q"', "$HOME", "`id`", "a\nb", "*", "~", "#x", "!", "\\", "é", "a;b", "x=1"]
)
@settings(max_examples=60, deadline=None)
def test_a_shell_sees_exactly_the_names(names):
    command = fill_in(r"printf '%s\0' %IN", names, [], 1)
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True).stdout
    seen = said.decode().split("\x00")[:-1]
    assert seen == [f"./{name}" if name.startswith("-") else name for name in names]


@given(name=any_name)
@example(name="-rf")
@example(name="counts and\nmore's.txt")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_a_shell_writes_exactly_the_output(name):
    assume("/" not in name and name not in (".", ".."))
    assume(len(name.encode()) <= 255)
    with tempfile.TemporaryDirectory() as directory:
        command = fill_in("echo done > %OUT", [], [name], 1)
        subprocess.run(["/bin/sh", "-c", command], cwd=directory, check=True)
        assert [path.name for path in Path(directory).iterdir()] == [name]


def test_status_and_outputs_of_a_task(site):
    task_id = make_task(site, taskName="out", nJobs=2, outputs=["o.txt"], jobParameters="x > %OUT")
    assert task_status(site, task_id) == "ready"
    first, second = jobs_of_task(site, task_id)
    while activate(site, 0):
        pass
    acquire(site, job_count=100, jedi_task_id=task_id)
    # the second job ends first; the order stays that of the jobs
    report_finished(site, second)
    add_up(site)
    assert task_status(site, task_id) == "running"
    assert [row["job_index"] for row in task_outputs(site, task_id)] == [2, 2]
    report_finished(site, first)
    add_up(site)
    assert task_status(site, task_id) == "done"
    outputs = [(row["job_index"], row["type"], row["lfn"], row["pfn"]) for row in task_outputs(site, task_id)]
    assert outputs[0] == (1, "output", "o.000001.txt", "/stored/o.000001.txt")
    assert [row[:2] for row in outputs] == [(1, "output"), (1, "log"), (2, "output"), (2, "log")]


def test_outputs_of_failed_jobs_are_not_listed(site):
    task_id = make_task(site, taskName="bad", outputs=["o.txt"], jobParameters="x > %OUT")
    [panda_id] = jobs_of_task(site, task_id)
    while activate(site, 0):
        pass
    acquire(site, job_count=100, jedi_task_id=task_id)
    report(site, panda_id, "failed", pilot_error_code=1305, output_report=stored(outputs_of(site, panda_id)))
    add_up(site)
    assert [row["type"] for row in task_outputs(site, task_id)] == ["log"]


def test_unknown_tasks_are_named(site):
    for ask in (task_status, task_outputs, lambda database, task_id: kill_task(database, task_id, MANAGER)):
        with pytest.raises(UnknownObject) as refused:
            ask(site, 5)
        assert refused.value.field == "task_id"


def test_only_the_owner_and_managers_kill_a_task(site):
    task_id = make_task(site, nJobs=3)
    before = everything(site)
    with pytest.raises(NotAllowed):
        kill_task(site, task_id, STRANGER)
    assert everything(site) == before
    assert kill_task(site, task_id, MANAGER) == 3
    assert task_status(site, task_id) == "aborted"
    with pytest.raises(Conflict):
        kill_task(site, task_id, OWNER)


def test_killing_a_task_leaves_other_jobs_alone(site):
    [other] = submit(site)
    task_id = make_task(site)
    kill_task(site, task_id, OWNER)
    assert row_of(site, other)["job_status"] == "defined"
