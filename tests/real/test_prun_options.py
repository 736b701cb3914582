"""Options of prun that change what its jobs read, make and see, run to the end by our own pilots: the files tell."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.prun_user import User, prun_user

pytestmark = pytest.mark.timeout(600)
ONE = ("--outputs", "a.txt", "--noBuild")


@pytest.fixture(scope="module")
def user(module_database_url: str, client_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with prun_user(module_database_url, client_program, tmp_path_factory.mktemp("options")) as user:
        user.register(
            "user.testuser.events",
            {f"e{number}.txt": f"{number}\n" for number in range(1, 5)},
            {"e1.txt": 6, "e2.txt": 0, "e3.txt": 3, "e4.txt": 3},
        )
        (user.code / "large.root").write_text("of the sandbox\n")
        yield user


def test_outputs_of_every_kind(user):
    made = "echo a > a.txt; echo b > b.txt; for i in 1 2; do echo $i > c$i.root; done"
    words = ("--outputs", "a.txt,BBB:b.txt,c*.root,never.txt", "--allowNoOutput", "never.txt", "--noBuild")
    task_id = user.submit("kinds", made, *words, "--noSeparateLog")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    files = {row["dataset"].removeprefix("user.testuser.kinds_"): row for row in user.files(task_id)}
    assert list(files) == ["a.txt", "BBB", "cXYZ.root.tgz", "never.txt"]
    assert Path(files["BBB"]["pfn"]).read_text() == "b\n"
    with tarfile.open(files["cXYZ.root.tgz"]["pfn"]) as archive:
        assert archive.getnames() == ["c1.root", "c2.root"]
    assert files["never.txt"]["status"] == "nooutput"
    assert user.files(task_id, "log") == []


def test_outputs_under_their_final_names(user):
    task_id = user.submit("real", "echo %OUT > %OUT", *ONE, "--execWithRealFileNames")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == [f"user.testuser.{task_id}._000001.a.txt\n"]


def test_jobs_by_the_events_that_files_really_have(user):
    command = "echo %IN %SKIPEVENTS %MAXEVENTS %FIRSTEVENT:1 > a.txt"
    words = ("--inDS", "user.testuser.events/", "--nEventsPerJob", "4", "--nEvents", "10", "--skipEmptyInput")
    task_id = user.submit("events", command, *words, *ONE)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert [line.strip() for line in user.outputs(task_id)] == [
        "e1.txt 0 4 1",
        "e1.txt 4 2 5",
        "e3.txt 0 3 7",
        "e4.txt 0 1 10",
    ]


def test_each_dataset_has_its_jobs_and_its_name_in_theirs(user):
    words = ("--inDS", "user.testuser.five,user.testuser.side", "--addNthFieldOfInDSToLFN", "3", "--nFilesPerJob", "4")
    task_id = user.submit("middle", "cat in.lst > a.txt", *words, "--writeInputToTxt", "IN:in.lst", *ONE)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    names = [row["lfn"].removeprefix("user.testuser.").split(".")[0] for row in user.files(task_id)]
    assert names == ["five", "five", "side", "side"]
    assert [text.split() for text in user.outputs(task_id)][1:3] == [["f5.txt"], [f"s{n}.txt" for n in range(1, 5)]]


def test_one_job_reads_several_datasets_on_demand(user):
    words = ("--inDS", "user.testuser.five,user.testuser.side", "--notExpandInDS")
    task_id = user.submit("across", "echo %IN | tr , '\\n' | wc -l > a.txt", *words, *ONE)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert [text.strip() for text in user.outputs(task_id)] == ["10"]


@pytest.mark.parametrize(
    ("name", "second", "words", "expected"),
    [
        ("ratio", "IN2:1", ["--useNumFilesInSecDSsAsRatio"], ["s1.txt,s2.txt,s3.txt", "s4.txt,s5.txt"]),
        (
            "reused",
            "IN2:4",
            ["--reusableSecondary", "IN2"],
            ["s1.txt,s2.txt,s3.txt,s4.txt", "s5.txt,s1.txt,s2.txt,s3.txt"],
        ),
        ("chosen", "IN2:1", [], ["s4.txt", "s5.txt"]),
    ],
)
def test_second_streams(user, name, second, words, expected):
    pattern = ":s[345].txt:1" if name == "chosen" else ""
    streams = ("--secondaryDSs", f"{second}:user.testuser.side{pattern}", *words)
    task_id = user.submit(
        name, "echo %IN2 > a.txt", "--inDS", "user.testuser.five", "--nFilesPerJob", "3", *streams, *ONE
    )
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert [text.strip() for text in user.outputs(task_id)] == expected


def test_what_of_the_directory_goes_along(user):
    words = ("--extFile", "large.root", "--excludeFile", "run.sh", "--workDir", "..")
    task_id = user.submit("taken", "cd ..; find . -type f | sort > lib/a.txt", *words, *ONE, cwd=user.code / "lib")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    (text,) = user.outputs(task_id)
    assert {"./large.root", "./lib/words.txt"} <= set(text.split())
    assert "./run.sh" not in text


def test_options_from_a_file_and_a_sandbox_without_compiling(user):
    options = {"exec": "cat lib/words.txt > a.txt", "outputs": "a.txt", "noCompile": True, "nJobs": "2"}
    (user.code / "options.json").write_text(json.dumps(options))
    dump = user.client.directory / "dumped.json"
    task_id = user.submit("loaded", None, "--loadJson", "options.json", "--dumpTaskParams", str(dump))
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == ["from the sandbox\n"] * 2
    dumped = json.loads(dump.read_text())
    answer = user.system.client("testuser", name="test user").get(
        "/api/v1/task/get_task_parameters", params={"task_id": task_id}
    )
    kept = answer.json()["data"]
    assert {name: kept[name] for name in dumped} == dumped


def test_files_that_another_task_has_used_are_skipped(user):
    words = ("--inDS", "user.testuser.five", *ONE)
    first = user.submit("used", "echo %IN > a.txt", *words, "--nFiles", "2")
    assert user.ended(first) == "done", user.jobs(first)
    second = user.submit("unused", "echo %IN > a.txt", *words, "--skipFilesUsedBy", str(first))
    assert user.ended(second) == "done", user.jobs(second)
    assert user.outputs(second) == ["f3.txt,f4.txt,f5.txt\n"]


def test_secrets_reach_the_command_and_no_log(user):
    (user.client.directory / "key.bin").write_text("of the file\n")
    user.client.run("pbook", "set_secret", "MY_WORD", "swordfish")
    user.client.run("pbook", "set_secret", "my.key", "key.bin", "--is_file")
    command = "(echo $MY_WORD; cat my.key; cat panda_secrets.json; echo; ls ..) > a.txt; true"
    with_secrets = user.submit("secrets", command, *ONE, "--useSecrets")
    without = user.submit("nosecrets", f"{command}; ls > a.txt", *ONE)
    assert user.ended(with_secrets) == "done", user.jobs(with_secrets)
    assert user.ended(without) == "done", user.jobs(without)
    (text,) = user.outputs(with_secrets)
    assert text.startswith("swordfish\nof the file\n")
    assert json.loads(text.splitlines()[2])["MY_WORD"] == "swordfish"
    assert not re.search(r"secret|my\.key", user.outputs(without)[0])
    (log,) = user.files(with_secrets, "log")
    with tarfile.open(log["pfn"]) as archive:
        assert not [name for name in archive.getnames() if re.search(r"secret|my\.key", name)]
        contents = [archive.extractfile(member) for member in archive if member.isfile()]
        assert not any(b"swordfish" in content.read() for content in contents if content)


def test_official_datasets_are_for_those_with_the_role(user):
    words = ("--official", *ONE)
    assert "requires production role" in user.prun("mine", "date > a.txt", *words, check=False)
    token = user.system.token("testuser", "production", name="test user")
    plain, user.client.token = user.client.token, token
    try:
        words = ("--outDS", "group.testvo.official", "--vo", "testvo", *words)
        printed = user.client.run("prun", "--exec", "date > a.txt", *words, cwd=user.code)
    finally:
        user.client.token = plain
    task_id = int(re.findall(r"jediTaskID=(\d+)", printed)[0])
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.files(task_id)[0]["dataset"] == "group.testvo.official_a.txt"


def test_queues_that_are_gone_and_any_other(user):
    for number, sites in enumerate(("LOCAL,GONE", "GONE,AUTO")):
        task_id = user.submit(f"sites{number}", "hostname > a.txt", *ONE, "--site", sites)
        assert user.ended(task_id) == "done", user.jobs(task_id)
    printed = user.prun("nosite", "hostname > a.txt", *ONE, "--site", "GONE", check=False)
    assert "there is no queue 'GONE'" in printed


def test_what_cannot_be_done_is_refused_by_name(user):
    events = ("--inDS", "user.testuser.five", "--nEventsPerJob", "8")
    for name, words, said in (
        ("noevents", (*events, *ONE), "the number of events in 'f1.txt' is not known"),
        ("regex", ("--outputs", "regex|a.*", "--noBuild"), "regular expression are not built"),
        ("nods", ("--inDS", "user.testuser.nothing", *ONE), "there is no dataset"),
    ):
        assert said in user.prun(name, "date > a.txt", *words, check=False)
