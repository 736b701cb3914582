"""Every variant of prun, as the real client 2.2.0 sent it: the jobs it makes, their texts and files."""

from __future__ import annotations

import json

import pytest

from core.database import Database
from core.taskengine.dialects.execution import execution_steps, optional_outputs
from tests.core.taskengine.submitting import (
    CAPTURED,
    accept,
    captured,
    files,
    jobs,
    place,
    prepare,
    row_of_task,
    task_files,
    texts,
)

HEAD = '-j "" --sourceURL http://127.0.0.1:28443 -r . -a jobO.captured.tar.gz'


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    prepare(shared_database)
    return shared_database


def line(task_id: int, serial: int, payload: str, *, inputs: str = "") -> str:
    """The argument string of a run job, written by hand."""
    output = f"user.testuser.{task_id}._{serial:06d}.out.txt"
    middle = f' -i "{inputs}"' if inputs else ""
    return f"{HEAD} -o \"{{'out.txt': '{output}'}}\"{middle} -p \"{payload}\""


def test_jobs_by_number(site):
    task_id = accept(site, captured("njobs"))
    numbers = [10, 11, 12]
    assert texts(site, task_id) == [
        line(task_id, serial, f"./run.sh%20{number}%20%3E%20out.txt") for serial, number in enumerate(numbers, start=1)
    ]
    assert files(site, task_id, "output")[2] == [f"user.testuser.{task_id}._000003.out.txt"]
    assert files(site, task_id, "log")[2] == [f"user.testuser.njobs.log.{task_id}.000003.log.tgz"]
    assert [(file["lfn"], file["status"]) for file in task_files(site, task_id)] == [
        ("10", "running"),
        ("11", "running"),
        ("12", "running"),
    ]


def test_the_row_of_the_task_and_its_datasets(site):
    parameters = captured("njobs", taskName="user.testuser.row/")
    task_id = accept(site, parameters)
    row = row_of_task(site, task_id)
    assert row["parameters"] == parameters
    facts = ("status", "user_name", "vo", "task_type", "task_priority", "n_jobs", "n_files", "n_input_files")
    assert [row[name] for name in facts] == ["ready", "Test User", "testvo", "anal", 1000, 3, 3, 0]
    assert (row["next_serial"], 0 < row["req_id"] < 10_000_000 <= task_id) == (4, True)
    datasets = site.fetch(
        "SELECT * FROM task_datasets WHERE jedi_task_id = %(id)s ORDER BY dataset_id", {"id": task_id}
    )
    assert [(d["stream"], d["type"], d["name"], d["container"], d["is_master"]) for d in datasets] == [
        ("SEQNUMBER", "pseudo_input", "seq_number", "seq_number", True),
        ("OUTPUT0", "output", "user.testuser.njobs_out.txt", "user.testuser.njobs_out.txt/", False),
        ("LOG0", "log", "user.testuser.njobs.log", "user.testuser.njobs.log/", False),
    ]
    kept = site.fetch("SELECT name, kind, scope FROM datasets WHERE name LIKE 'user.testuser.njobs%%' ORDER BY name")
    assert [tuple(row.values()) for row in kept] == [
        ("user.testuser.njobs.log", "log", "user.testuser"),
        ("user.testuser.njobs_out.txt", "output", "user.testuser"),
    ]


def test_the_jobs_know_their_program_and_owner(site):
    [job] = jobs(site, accept(site, captured("single")))
    assert (job["transformation"], job["prod_user_name"], job["job_status"]) == (
        "runGen-00-00-02",
        "Test User",
        "defined",
    )
    assert (job["attempt_nr"], job["max_attempt"], job["job_index"]) == (1, 10, 1)
    # less one for every five live jobs of this user, of whom other tests made some
    assert 900 < job["current_priority"] <= 1000


def test_input_is_cut_by_files(site):
    task_id = accept(site, captured("files"))
    pieces = [["f1.txt", "f2.txt"], ["f3.txt", "f4.txt"], ["f5.txt"]]
    assert files(site, task_id, "input") == pieces
    assert texts(site, task_id) == [
        line(task_id, serial, "./run.sh%20%25IN", inputs=str(piece)) for serial, piece in enumerate(pieces, start=1)
    ]
    assert [job["n_input_data_files"] for job in jobs(site, task_id)] == [2, 2, 1]
    assert row_of_task(site, task_id)["n_input_files"] == 5


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("files_default", [["f1.txt", "f2.txt", "f3.txt", "f4.txt", "f5.txt"]]),
        ("nfiles", [["f1.txt"], ["f2.txt"], ["f3.txt"]]),
        ("gigabytes", [["f1.txt", "f2.txt", "f3.txt", "f4.txt", "f5.txt"]]),
        (
            "two_datasets",
            [
                ["f1.txt", "f2.txt", "f3.txt"],
                ["f4.txt", "f5.txt"],
                ["s1.txt", "s2.txt", "s3.txt"],
                ["s4.txt", "s5.txt"],
            ],
        ),
        ("match", [["f2.txt", "f4.txt"]]),
        ("file_list", [["f1.txt", "f3.txt"]]),
        ("bulk1", [["f1.txt", "f2.txt", "f3.txt", "f4.txt", "f5.txt"]]),
        ("bulk2", [["s1.txt", "s2.txt", "s3.txt", "s4.txt", "s5.txt"]]),
    ],
)
def test_which_input_goes_into_which_job(site, name, pieces):
    assert files(site, accept(site, captured(name)), "input") == pieces


def test_sizes_count_when_gigabytes_are_the_rule(site):
    task_id = accept(site, captured("gigabytes", taskName="user.testuser.gb/", nGBPerJob=7 / 2**30))
    assert [len(piece) for piece in files(site, task_id, "input")] == [2, 2, 1]


def test_files_are_cut_into_ranges_of_events(site):
    task_id = accept(site, captured("events", nFiles=2))
    assert files(site, task_id, "input") == [["f1.txt"]] * 3 + [["f2.txt"]] * 3
    payloads = [text.split('-p "')[1].rstrip('"') for text in texts(site, task_id)]
    assert payloads == [f"./run.sh%20%25IN%20{skip}%20{most}" for skip, most in [(0, 4), (4, 4), (8, 2)] * 2]
    rows = task_files(site, task_id)
    assert [(row["start_event"], row["end_event"], row["n_events"]) for row in rows[:3]] == [
        (0, 3, 4),
        (4, 7, 4),
        (8, 9, 2),
    ]
    assert row_of_task(site, task_id)["n_files"] == 6


def test_several_whole_files_make_one_job_of_events(site):
    task_id = accept(site, captured("events", taskName="user.testuser.ev2/", nEventsPerJob=25, nEvents=45))
    assert files(site, task_id, "input") == [["f1.txt", "f2.txt"], ["f3.txt", "f4.txt"], ["f5.txt"]]
    assert [text.split("%20")[-1] for text in texts(site, task_id)] == ['20"', '20"', '5"']


def test_events_are_counted_without_input(site):
    task_id = accept(site, captured("events_without_input"))
    payloads = [text.split('-p "')[1].rstrip('"') for text in texts(site, task_id)]
    assert payloads == ["./run.sh%200%204%205", "./run.sh%200%204%209", "./run.sh%200%202%2013"]


def test_given_pfns_are_no_files_of_the_catalogue(site):
    task_id = accept(site, captured("pfnlist"))
    place = "root://store.example//data/"
    assert f"-i \"['{place}a.root', '{place}b.root']\"" in texts(site, task_id)[0]
    assert f"-i \"['{place}c.root']\" -p" in texts(site, task_id)[1]
    assert texts(site, task_id)[0].endswith("--givenPFN")
    assert files(site, task_id, "input") == [[], []]
    assert [row["lfn"][-6:] for row in task_files(site, task_id)] == ["a.root", "b.root", "c.root"]


def test_a_second_stream_goes_along_and_begins_anew_when_it_is_used_up(site):
    task_id = accept(site, captured("secondary"))
    assert files(site, task_id, "input") == [
        ["f1.txt", "f2.txt", "s1.txt"],
        ["f3.txt", "f4.txt", "s2.txt"],
        ["f5.txt", "s3.txt"],
    ]
    assert texts(site, task_id)[0].endswith("""--inMap "{'IN': ['f1.txt', 'f2.txt'], 'IN2': ['s1.txt']}\"""")
    task_id = accept(site, captured("secondary_reusable"))
    taken = [[name for name in piece if name.startswith("s")] for piece in files(site, task_id, "input")]
    assert taken[:2] == [["s1.txt", "s2.txt", "s3.txt"], ["s4.txt", "s5.txt", "s1.txt"]]
    assert [row["status"] for row in task_files(site, task_id, stream="IN2")] == ["ready"] * 5


def test_a_second_stream_by_ratio(site):
    task_id = accept(site, captured("secondary_ratio"))
    taken = [[name for name in piece if name.startswith("s")] for piece in files(site, task_id, "input")]
    assert [len(piece) for piece in taken] == [4, 4, 2]


def test_a_database_release_goes_with_every_job(site):
    task_id = accept(site, captured("dbrelease", nEvents=2))
    assert files(site, task_id, "input") == [["DBRelease-1.tar.gz"]] * 2
    assert "--dbrFile=DBRelease-1.tar.gz" in texts(site, task_id)[0]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("memory", {"min_ram_mb": 12000, "core_count": 8}),
        ("memory_fixed", {"min_ram_mb": 1500, "max_walltime_s": 7200, "max_disk_mb": 2000}),
        ("attempts", {"max_attempt": 7}),
        ("no_retry", {"max_attempt": 1}),
        ("sites", {"computing_site": "Q", "site_is_pinned": True}),
        ("sites_many", {"computing_site": "", "site_is_pinned": False}),
        ("options", {"current_priority": 950, "special_handling": "debug", "working_group": "wg"}),
        ("container", {"container_name": "docker://alpine:3", "transformation": "runGen-00-00-02"}),
        ("container_no_alrb", {"container_name": "", "transformation": "runcontainer"}),
    ],
)
def test_what_was_asked_for_is_on_the_jobs(site, name, facts):
    [job] = jobs(site, accept(site, captured(name)))
    assert {key: job[key] for key in facts} == facts


def test_the_steps_around_a_container_are_told(site):
    steps = execution_steps(captured("container"), "./trf", "-a b")
    assert steps["preprocess"] == {"command": "./trf", "args": "--preprocess -a b"}
    assert steps["postprocess"] == {"command": "./trf", "args": "--postprocess -a b"}
    assert steps["containerOptions"]["containerImage"] == "docker://alpine:3"
    assert execution_steps(captured("single")) == {}
    assert execution_steps({"multiStepExec": {"preprocess": "x", "postprocess": {"command": 5}}}) == {}


def test_names_can_hold_a_part_of_the_input(site):
    task_id = accept(site, captured("middle_name"))
    assert files(site, task_id, "output")[0] == [f"user.testuser.f1.{task_id}._000001.out.txt"]
    assert files(site, task_id, "log")[4] == [f"user.testuser.f5.{task_id}._000005.log.tgz"]
    task_id = accept(site, captured("middle_dataset"))
    assert files(site, task_id, "output")[0] == [f"user.testuser.testuser.one.{task_id}._000001.out.txt"]


def test_outputs_have_datasets_of_their_own(site):
    task_id = accept(site, captured("outputs"))
    rows = site.fetch(
        "SELECT lfn, dataset, scope FROM job_files WHERE jedi_task_id = %(id)s AND type = 'output' ORDER BY row_id",
        {"id": task_id},
    )
    assert [(row["lfn"], row["dataset"], row["scope"]) for row in rows] == [
        (f"user.testuser.{task_id}._000001.one.txt", "user.testuser.outputs_AAA", "user.testuser"),
        (f"user.testuser.{task_id}._000001.bXYZ.root.tgz", "user.testuser.outputs_bXYZ.root.tgz", "user.testuser"),
    ]
    assert optional_outputs(captured("optional_output")) == ["user.testuser.optional_output_two.txt"]
    task_id = accept(site, captured("optional_output"))
    assert f"--allowNoOutput=user.testuser.{task_id}._000001.two.txt" in texts(site, task_id)[0]


def test_without_a_log_there_is_none(site):
    assert files(site, accept(site, captured("no_log")), "log") == [[]]


def test_what_is_left_out_without_harm_is_said(site):
    row = row_of_task(site, accept(site, captured("merge", osMatching=True)))
    assert "osMatching: osInfo names no operating system as queues state theirs" in row["error_dialog"]
    assert row["n_jobs"] == 2
    assert row_of_task(site, accept(site, captured("secrets")))["error_dialog"] == ""


def test_files_that_another_task_has_used_are_left_out(site):
    first = accept(site, captured("nfiles", taskName="user.testuser.used/"))
    task_id = accept(site, captured("skip_used", skipFilesUsedBy=str(first)))
    assert files(site, task_id, "input") == [["f4.txt", "f5.txt"]]


@pytest.mark.parametrize(("name", "queues"), [("sites", {"Q"}), ("sites_many", {"Q", "Q_C"})])
def test_brokerage_obeys_the_named_queues(site, name, queues):
    task_id = accept(site, captured(name, taskName=f"user.testuser.b_{name}/", nEvents=8))
    place(site)
    assert {job["computing_site"] for job in jobs(site, task_id)} <= queues


def test_brokerage_obeys_excluded_queues_and_patterns(site):
    task_id = accept(site, captured("single", taskName="user.testuser.ex/", excludedSite=["Q_*"], nEvents=3))
    other = accept(site, captured("single", taskName="user.testuser.ex2/", excludedSite=["Q*"]))
    place(site)
    assert {job["computing_site"] for job in jobs(site, task_id)} == {"Q"}
    [job] = jobs(site, other)
    assert job["job_status"] == "defined"
    assert "did not exclude" in job["brokerage_error_diag"]


@pytest.mark.parametrize("spelling", ["user.testuser.one", "user.testuser.one/", "user.alice:user.testuser.one/"])
def test_datasets_are_found_as_clients_write_them(site, spelling):
    parameters = captured("files", taskName=f"user.testuser.{len(spelling)}/", dsForIN=spelling)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = spelling
    assert len(jobs(site, accept(site, parameters))) == 3


def test_every_captured_dictionary_is_real_and_small():
    names = sorted(CAPTURED.glob("*.json"))
    assert len(names) >= 35
    for path in names:
        parameters = json.loads(path.read_text())["task_parameters"]
        assert parameters["processingType"].startswith("panda-client-2.2.0-jedi-")
        assert path.stat().st_size < 4096


LISTS_OF_SITES = [
    {"site": "AUTO"},
    {"includedSite": ["Q", "GONE"]},
    {"includedSite": ["GONE", "AUTO"]},
    {"site": "Q_A,GONE"},
    {"site": "", "includedSite": "Q*"},
]


@pytest.mark.parametrize("number", range(len(LISTS_OF_SITES)))
def test_lists_of_queues_may_hold_some_that_are_not_there(site, number):
    parameters = captured("single", taskName=f"user.testuser.sites{number}/", **LISTS_OF_SITES[number])
    assert row_of_task(site, accept(site, parameters))["site"] == ""
