"""runGen does what a prun user means: sandbox, inputs, command, outputs, exit code."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.transformations.conftest import Job


def test_a_script_of_the_sandbox_reads_inputs_and_its_output_gets_its_final_name(job: Job) -> None:
    job.cache.add("jobO.1.tar.gz", run_sh="#!/bin/sh\ncat $(echo $1 | tr , ' ') > out.txt\n", lib__note_txt="n")
    job.file("a.root", "first ")
    job.file("b.root", "second")
    done = job.run(
        "./run.sh %IN", "-a", "jobO.1.tar.gz", "-i", "['a.root', 'b.root']", "-o", "{'out.txt': 'user.me.1.out.txt'}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert job.text("user.me.1.out.txt") == "first second"
    assert job.cache.asked == ["/cache/jobO.1.tar.gz"]


def test_what_came_and_was_not_changed_is_gone_after_success_and_what_the_command_left_stays(job: Job) -> None:
    job.cache.add(
        "jobO.1.tar.gz", run_sh="#!/bin/sh\necho more >> keep.txt; echo new > left.txt\n", keep_txt="old\n", d__x=""
    )
    assert job.run("./run.sh", "-a", "jobO.1.tar.gz").returncode == 0
    left = {path.name for path in (job.directory / "workDir").rglob("*")}
    assert left == {"keep.txt", "left.txt"}


def test_after_a_failure_everything_stays_for_whoever_looks_into_the_log_archive(job: Job) -> None:
    job.cache.add("jobO.1.tar.gz", run_sh="#!/bin/sh\nexit 7\n")
    assert job.run("./run.sh", "-a", "jobO.1.tar.gz").returncode == 7
    assert (job.directory / "workDir" / "run.sh").is_file()


@pytest.mark.parametrize("code", [0, 1, 3, 64, 255])
def test_the_exit_code_of_the_command_is_the_exit_code_of_the_job(job: Job, code: int) -> None:
    assert job.run(f"exit {code}").returncode == code


@pytest.mark.parametrize(
    ("command", "code"), [("kill -9 $$", 137), ("sh -c 'kill -11 $$'", 139), ("kill -TERM $$", 143)]
)
def test_a_command_ended_by_a_signal_gives_128_and_the_signal(job: Job, command: str, code: int) -> None:
    assert job.run(command).returncode == code


@pytest.mark.parametrize(
    "command",
    [
        "printf '%s\\n' 'two  blanks' > o",
        'x="it\'s"; echo "$x" \\"quoted\\" > o',
        "echo zażółć gęślą jaźń ☕ > o",
        "printf '100%% %d%%\\n' 5 > o; date +%s%%IN%% > /dev/null",
        "cat <<'END' > o\nline $HOME `x`\nEND",
        "for i in 1 2 3; do echo $i; done | tac > o && [[ -s o ]]",
        "(echo a; echo b) 2>&1 | sort -r > o",
    ],
)
def test_a_command_reaches_bash_as_it_was_typed(job: Job, tmp_path: Path, command: str) -> None:
    by_hand = tmp_path / "by hand"
    by_hand.mkdir()
    assert os.system(f"cd '{by_hand}' && cat > c.sh <<'THE_END'\n{command}\nTHE_END\nbash c.sh") == 0
    done = job.run(command, "-o", "{'o': 'final.o'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (job.directory / "final.o").read_bytes() == (by_hand / "o").read_bytes()


def test_streams_are_told_apart_and_longer_names_are_words_of_their_own(job: Job) -> None:
    for name in ("a", "b", "s1", "s2", "bg"):
        job.file(name, name)
    done = job.run(
        "echo %IN %IN2 %BG %IN20 %INPUT a%INb ../%IN2/x",
        "-i",
        "['a', 'b']",
        "--inMap",
        "{'IN': ['a', 'b'], 'IN2': ['s1', 's2'], 'BG': ['bg']}",
    )
    assert done.stdout.splitlines()[-1] == "a,b s1,s2 bg %IN20 %INPUT a%INb ../s1,s2/x"


def test_names_with_blanks_and_quotes_are_one_word_wherever_they_stand(job: Job) -> None:
    name = 'it\'s a "$file".txt'
    job.file(name, "content")
    done = job.run("cat %IN; cat \"%IN\"; cat '%IN'", "-i", repr([name]))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "content" * 3)


def test_inputs_in_directories_keep_their_paths(job: Job) -> None:
    job.file("deep/er/a.txt", "deep")
    job.cache.add("jobO.1.tar.gz", sub__dir__s_sh="#!/bin/sh\ncat $1\n")
    done = job.start(
        "runGen-00-00-02", "--sourceURL", job.cache.url, "-r", "sub/dir", "-a", "jobO.1.tar.gz",
        "-i", "['deep/er/a.txt']", "-p", "./s.sh%20%25IN",
    )  # fmt: skip
    assert (done.returncode, "deep" in done.stdout) == (0, True)


def test_lists_of_inputs_are_written_to_the_files_the_user_names(job: Job) -> None:
    for name in ("a", "b", "c"):
        job.file(name)
    done = job.run(
        "cat in.txt - in2.txt </dev/null",
        "-i", "['a', 'b']", "--inMap", "{'IN': ['a', 'b'], 'IN2': ['c']}", "--writeInputToTxt", "IN:in.txt,IN2:in2.txt",
    )  # fmt: skip
    assert done.stdout.splitlines()[-3:] == ["a", "b", "c"]


def test_many_outputs_patterns_and_directories_get_their_names(job: Job) -> None:
    done = job.run(
        "mkdir results; echo 1 > results/r; echo 2 > out.txt; echo 3 > b1.root; echo 4 > b2.root; echo 5 > .b3.root",
        "-o", "{'out.txt': 'l.out.txt', 'b*.root': 'l.bXYZ.root.tgz', 'results': 'l.results.tgz', 'c*.x': 'l.cXYZ.x.tgz'}",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "runGen-00-00-02: the command succeeded, but made no c*.x\n")
    assert job.text("l.out.txt") == "2\n"
    with tarfile.open(job.directory / "l.bXYZ.root.tgz") as packed:
        assert packed.getnames() == ["b1.root", "b2.root"]
    with tarfile.open(job.directory / "l.results.tgz") as packed:
        assert packed.getnames() == ["results", "results/r"]
    assert not (job.directory / "l.cXYZ.x.tgz").exists()


def test_a_missing_output_is_said_once_unless_it_may_be_missing(job: Job) -> None:
    outputs = "{'a': 'user.a', 'b': 'user.b'}"
    assert job.run("true", "-o", outputs).stderr == "runGen-00-00-02: the command succeeded, but made no a, b\n"
    assert job.run("true", "-o", outputs, "--allowNoOutput=user.a,user.b").stderr == ""
    assert "user.a" not in job.names()


def test_a_failing_command_has_the_last_word_on_stderr_and_its_outputs_are_brought_all_the_same(job: Job) -> None:
    done = job.run("echo half > out; echo 'no magnet' >&2; exit 3", "-o", "{'out': 'l.out', 'never': 'l.never'}")
    assert (done.returncode, done.stderr, job.text("l.out")) == (3, "no magnet\n", "half\n")


def test_an_input_changed_in_place_is_an_output_like_any_other(job: Job) -> None:
    job.file("f.txt", "less\n")
    assert job.run("echo more >> f.txt", "-i", "['f.txt']", "-o", "{'f.txt': 'l.f.txt'}").returncode == 0
    assert job.text("l.f.txt") == "less\nmore\n"


def test_out_stands_for_the_names_to_write_and_with_real_names_the_final_ones(job: Job) -> None:
    outputs = ("-o", "{'o.txt': 'user.1.o.txt', 'p.txt': 'user.1.p.txt'}")
    assert "o.txt,p.txt\n" in job.run("echo %OUT", *outputs).stdout
    done = job.run("echo x > o.txt; echo p.txt.bak; echo %OUT; touch p.txt", *outputs, "--execWithRealFileNames")
    assert "p.txt.bak\nuser.1.o.txt,user.1.p.txt\n" in done.stdout
    assert {"user.1.o.txt", "user.1.p.txt"} <= job.names()


def test_random_numbers_the_server_left_differ_from_job_to_job(job: Job) -> None:
    assert "[1042] [42] %RNDMX" in job.run("echo [%RNDM=1000] [%RNDM] %RNDMX", PANDAID="42").stdout


def test_given_pfns_are_passed_on_as_they_are(job: Job) -> None:
    done = job.run("echo %IN", "-i", "['root://host//path/a.root', '/data/b.root']", "--givenPFN")
    assert done.stdout.splitlines()[-1] == "root://host//path/a.root,/data/b.root"


def test_a_command_may_remove_its_inputs_and_even_its_directory(job: Job) -> None:
    job.file("in")
    assert job.run("rm in", "-i", "['in']").returncode == 0
    done = job.run("rm -rf $PWD", "-i", "['in']", "-o", "{'o': 'l.o'}")
    assert (done.returncode, done.stderr) == (0, "runGen-00-00-02: the command succeeded, but made no o\n")


def test_outputs_that_cannot_be_brought_do_not_hide_that_the_command_failed(job: Job) -> None:
    job.file("l", "a file where a directory should be")
    outputs = ("-o", "{'o': 'l/o'}")
    assert job.run("echo x > o; exit 3", *outputs).returncode == 3
    done = job.run("echo x > o", *outputs)
    assert (done.returncode, len(done.stderr.splitlines())) == (73, 1)


def test_the_payloads_own_report_is_where_the_pilot_looks(job: Job) -> None:
    job.run("echo '{\"exitCode\": 0}' > jobReport.json")
    assert job.text("jobReport.json") == '{"exitCode": 0}\n'


@pytest.mark.parametrize("report", ["", "echo '{\"exitCode\": 0}' > jobReport.json; "])
def test_what_the_user_says_of_the_job_goes_into_its_report(job: Job, report: str) -> None:
    job.run(report + "echo '{\"events\": 7}' > userJobMetadata.json")
    known = {"exitCode": 0} if report else {}
    assert json.loads(job.text("jobReport.json")) == {**known, "user_job_metadata": {"events": 7}}


@pytest.mark.parametrize("content", ["no json", "", "head -c 2000000 /dev/zero | tr '\\0' 1"])
def test_metadata_that_makes_no_sense_harm_no_job(job: Job, content: str) -> None:
    command = content if content.startswith("head") else f"printf %s '{content}'"
    done = job.run(f"({command}) > userJobMetadata.json; echo x > o", "-o", "{'o': 'l'}")
    assert done.returncode == 0
    assert "userJobMetadata.json is left out" in done.stdout + done.stderr
    assert not (job.directory / "jobReport.json").exists()


def test_an_input_that_storage_has_lost_is_told_with_its_place(job: Job) -> None:
    (job.directory / "in").symlink_to("/storage/gone/in")
    done = job.run("cat %IN", "-i", "['in']")
    assert done.returncode == 66
    assert "the input file in is not at the storage any more: /storage/gone/in is not there" in done.stderr


def test_a_program_of_the_sandbox_is_found_without_dot_slash_but_after_those_of_the_system(job: Job) -> None:
    job.cache.add("jobO.1.tar.gz", mine_sh="#!/bin/sh\necho mine\n", true_sh="#!/bin/sh\n")
    assert "mine\n" in job.run("mine.sh", "-a", "jobO.1.tar.gz").stdout


def test_the_three_steps_of_a_container_job_are_the_whole_job(job: Job) -> None:
    job.cache.add("jobO.1.tar.gz", run_sh="#!/bin/sh\ncat $1 > out\n")
    job.file("in", "abc")
    options = ("-a", "jobO.1.tar.gz", "-i", "['in']", "-o", "{'out': 'l.out'}")
    assert job.run("./run.sh %IN", *options, "--preprocess").returncode == 0
    assert not (job.directory / "l.out").exists()
    assert os.system(f"cd '{job.directory}' && /bin/sh __run_main_exec.sh") == 0
    assert job.run("./run.sh %IN", *options, "--postprocess").returncode == 0
    assert job.text("l.out") == "abc"


def test_output_of_any_length_streams_through(job: Job) -> None:
    done = job.run(
        "head -c 20000000 /dev/zero | tr '\\0' x; head -c 30000000 /dev/zero > big", "-o", "{'big': 'l.big'}"
    )
    assert (done.returncode, done.stdout.count("x") >= 20_000_000) == (0, True)
    assert (job.directory / "l.big").stat().st_size == 30_000_000


def test_two_hundred_inputs_are_more_than_one_argument_may_be_long(job: Job) -> None:
    names = [f"{'long-' * 40}{number:03}.root" for number in range(700)]
    for name in names:
        job.file(name)
    done = job.run(
        "echo %IN | tr , '\\n' | wc -l; cat l.txt | wc -l", "--writeInputToTxt", "IN:l.txt", "-i", ",".join(names[:600])
    )
    assert done.stdout.splitlines()[-2:] == ["600", "600"]
