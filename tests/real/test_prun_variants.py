"""What prun can ask for, run to the end by our own pilots: each variant makes the right jobs and the right files."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.prun_user import User, prun_user
from tests.support.builders import jobs_of_task
from tests.support.system import eventually

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def user(module_database_url: str, client_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with prun_user(module_database_url, client_program, tmp_path_factory.mktemp("prun")) as user:
        yield user


def test_jobs_by_number_with_a_serial_random_number(user):
    command = "./run.sh %RNDM:10 > out.txt"
    task_id = user.submit("rndm", command, "--outputs", "out.txt", "--noBuild", "--nJobs", "3")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert sorted(user.outputs(task_id)) == ["got 10\n", "got 11\n", "got 12\n"]


def test_input_is_split_by_files(user):
    words = ("--inDS", "user.testuser.five/", "--outputs", "out.txt", "--noBuild", "--nFilesPerJob", "2")
    task_id = user.submit("byfiles", "echo %IN | tr , ' ' | xargs cat > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == ["1\n2\n", "3\n4\n", "5\n"]


def test_files_are_chosen_by_pattern_and_skipped(user):
    words = ("--inDS", "user.testuser.five", "--match", "*f[1-4].txt", "--nSkipFiles", "1", "--nFilesPerJob", "10")
    task_id = user.submit("match", "echo %IN > out.txt", *words, "--outputs", "out.txt", "--noBuild")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == ["f2.txt,f3.txt,f4.txt\n"]


def test_a_second_stream_goes_along(user):
    words = ("--inDS", "user.testuser.five/", "--secondaryDSs", "IN2:1:user.testuser.side/", "--nFilesPerJob", "2")
    task_id = user.submit("second", "echo %IN and %IN2 > out.txt", *words, "--outputs", "out.txt", "--noBuild")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    firsts = [text.split(" and ")[0] for text in user.outputs(task_id)]
    assert firsts == ["f1.txt,f2.txt", "f3.txt,f4.txt", "f5.txt"]
    assert all(re.search(r" and s\d\.txt", text) for text in user.outputs(task_id))


def test_what_is_built_is_there_when_it_runs(user):
    words = ("--bexec", "echo built > made.txt", "--outputs", "out.txt", "--nJobs", "2")
    task_id = user.submit("build", "cat made.txt lib/words.txt > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == ["built\nfrom the sandbox\n"] * 2
    assert [job["prod_source_label"] for job in user.jobs(task_id)] == ["panda", "user", "user"]


def test_a_build_that_fails_takes_its_jobs_along(user):
    words = ("--bexec", "echo 'undefined reference to main' >&2; exit 2", "--outputs", "out.txt", "--nJobs", "2")
    task_id = user.submit("badbuild", "cat made.txt > out.txt", *words)
    assert user.ended(task_id) == "failed", user.jobs(task_id)
    assert [job["job_status"] for job in user.jobs(task_id)] == ["failed", "cancelled", "cancelled"]


def test_quotes_and_signs_reach_the_command_as_typed(user):
    command = """printf '%s\\n' "it's" '$HOME' "a  b" 'ü;|&' > out.txt"""
    task_id = user.submit("quotes", command, "--outputs", "out.txt", "--noBuild")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert user.outputs(task_id) == ["it's\n$HOME\na  b\nü;|&\n"]


def test_files_without_a_catalogue(user):
    listed = user.code / "pfns.txt"
    places = [str(user.system.storage / "data" / "user.testuser.five" / f"f{number}.txt") for number in (1, 2)]
    listed.write_text("\n".join(places) + "\n")
    words = ("--pfnList", "pfns.txt", "--site", "LOCAL", "--outputs", "out.txt", "--noBuild", "--nFilesPerJob", "1")
    task_id = user.submit("pfns", "echo %IN > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert [text.strip() for text in user.outputs(task_id)] == places


def test_many_tasks_by_one_command(user):
    pairs = [{"inDS": f"user.testuser.{name}", "outDS": f"user.testuser.bulk_{name}"} for name in ("five", "side")]
    (user.code / "bulk.json").write_text(json.dumps(pairs))
    words = ("--inOutDsJson", "bulk.json", "--outputs", "out.txt", "--noBuild")
    printed = user.prun("unused", "cat f1.txt s1.txt 2>/dev/null > out.txt; true", *words)
    task_ids = [int(found) for found in re.findall(r"jediTaskID=(\d+)", printed)]
    assert len(set(task_ids)) == 2, printed
    assert [user.ended(task_id) for task_id in sorted(set(task_ids))] == ["done", "done"]


def test_the_same_task_twice_is_refused_while_it_runs(user):
    words = ("--outputs", "out.txt", "--noBuild")
    task_id = user.submit("twice", "sleep 60; date > out.txt", *words)
    printed = user.prun("twice", "sleep 60; date > out.txt", *words, check=False)
    assert f"jediTaskID={task_id} is" in printed
    assert "submission failed" in printed
    assert "will be killed" in user.client.run("pbook", "kill", str(task_id))
    assert user.ended(task_id) == "aborted"


def test_the_same_task_again_takes_new_files_when_it_has_ended(user):
    user.register("user.testuser.grows", {"a.txt": "a\n"})
    words = ("--inDS", "user.testuser.grows/", "--outputs", "out.txt", "--noBuild", "--nFilesPerJob", "1")
    task_id = user.submit("grows", "cat a.txt > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    printed = user.prun("grows", "cat a.txt > out.txt", *words)
    assert f"reactivation accepted. jediTaskID={task_id}" in printed
    assert user.ended(task_id) == "done"
    assert len(jobs_of_task(user.system.database, task_id)) == 1


def test_a_failed_task_is_retried_by_pbook(user):
    switch = user.client.directory / "switch"
    command = f"test -e {switch} && date > out.txt"
    words = ("--outputs", "out.txt", "--noBuild", "--nJobs", "2", "--disableAutoRetry")
    task_id = user.submit("retried", command, *words)
    assert user.ended(task_id) == "failed"
    switch.touch()
    assert "retry" in user.client.run("pbook", "retry", str(task_id))
    eventually(lambda: user.status(task_id) == "done", timeout_s=240, what=f"the retry succeeds: {user.jobs(task_id)}")
    assert [job["job_status"] for job in user.jobs(task_id)] == ["failed", "failed", "finished", "finished"]
    assert [job["attempt_nr"] for job in user.jobs(task_id)] == [1, 1, 2, 2]
    assert re.search(r"100%\s+2\|0\|2", user.client.run("pbook", "showl", str(task_id)))


def test_a_failure_names_its_line(user):
    words = ("--outputs", "out.txt", "--noBuild", "--disableAutoRetry")
    task_id = user.submit("fails", "echo 'ValueError: no such column' >&2; exit 3", *words)
    assert user.ended(task_id) == "failed"
    (job,) = user.jobs(task_id)
    assert (job["pilot_error_code"], job["trans_exit_code"]) == (1305, 3)
    reader = user.system.client("testuser", name="test user")

    def lines() -> list[str]:
        rows = reader.get("/api/monitor/incidents", params={"jedi_task_id": task_id}).json()["incidents"]
        return [row["culprit_line"] for row in rows]

    assert eventually(lines, what="an incident") == ["ValueError: no such column"]


def test_outputs_are_merged_into_one(user):
    words = ("--outputs", "out.txt", "--noBuild", "--nJobs", "3", "--mergeOutput", "--mergeLog")
    task_id = user.submit("merged", "./run.sh %RNDM:10 > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    merged, logs = (row for row in user.files(task_id) if not row["lfn"].startswith("panda.um."))
    assert merged["dataset"] == "user.testuser.merged_out.txt"
    assert logs["dataset"] == "user.testuser.merged.merge_log"
    with tarfile.open(logs["pfn"]) as archive:
        assert len(archive.getnames()) == 3
    assert sorted(Path(merged["pfn"]).read_text().split("\n")) == ["", "got 10", "got 11", "got 12"]


def test_the_users_program_merges_with_what_was_built(user):
    script = user.code / "add.sh"
    script.write_text('#!/bin/sh\ncat $(echo "$1" | tr , " ") | wc -l > "$2"\n')
    script.chmod(0o755)
    words = ("--outputs", "out.txt", "--nJobs", "2", "--bexec", "true", "--mergeScript", "./add.sh %IN %OUT")
    task_id = user.submit("mergescript", "echo one > out.txt", *words)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    (merged,) = [row for row in user.files(task_id) if not row["lfn"].startswith("panda.um.")]
    assert Path(merged["pfn"]).read_text().strip() == "2"
