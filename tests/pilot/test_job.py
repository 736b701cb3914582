"""A job from its description to the final report: what is stored, what is reported, what is left."""

from __future__ import annotations

import base64
import json
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from tests.pilot.conftest import Workshop, wait_for
from tests.pilot.stand_in import commanded, refused
from tests.pilot.test_movers import file_size_limit


def members(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def test_a_job_reads_its_inputs_and_its_outputs_are_stored_with_their_checksums(workshop: Workshop) -> None:
    account = workshop.run(
        workshop.job(
            "cat 'a b.txt' sub/c.txt > out.txt",
            workshop.input("a b.txt", b"first\n"),
            workshop.input("sub/c.txt", b"second"),
            workshop.output("out.txt", guid="a-guid"),
            workshop.log(),
        )
    )
    final, content = workshop.server.final, b"first\nsecond"
    report = json.loads(final["job_output_report"])
    assert account.status == final["job_status"] == "finished"
    assert (workshop.storage / "out" / "out.txt").read_bytes() == content
    assert report["out.txt"] == {
        "guid": "a-guid",
        "fsize": len(content),
        "adler32": f"{zlib.adler32(content):08x}",
        "surl": str(workshop.storage / "out" / "out.txt"),
    }
    assert set(report) == {"out.txt", "job.log.tgz"}
    assert (final["pilot_error_code"], final["trans_exit_code"], final["attempt_nr"]) == (0, 0, 1)
    assert workshop.server.states[:2] == ["starting", "running"]
    assert workshop.leftovers == []


def test_the_payload_sees_only_its_files_and_an_empty_stdin(workshop: Workshop) -> None:
    workshop.run(workshop.job("cat; ls -A", workshop.input("only.txt", b"x")))
    assert workshop.server.final["payload_stdout"] == "only.txt\n"


def test_the_log_archive_holds_logs_and_leavings_but_no_inputs_and_no_stored_outputs(workshop: Workshop) -> None:
    workshop.run(
        workshop.job(
            "mkdir d; echo n > d/notes; ln -s nowhere link; mkfifo pipe; echo r > out",
            workshop.input("in.txt", b"x"),
            workshop.output("out"),
            workshop.log(),
        )
    )
    found = members(workshop.storage / "out" / "job.log.tgz")
    assert found == {"work/d/notes", "work/link", "payload.stdout", "payload.stderr", "pilot.log", "job.sh"}


def test_an_output_made_by_changing_an_input_in_place_is_stored(workshop: Workshop) -> None:
    workshop.run(
        workshop.job("echo more >> f.txt", workshop.input("f.txt", b"less\n"), workshop.output("f.txt"), workshop.log())
    )
    assert (workshop.storage / "out" / "f.txt").read_bytes() == b"less\nmore\n"


def test_a_failing_payload_gives_1305_its_exit_code_and_its_failing_line(workshop: Workshop) -> None:
    workshop.run(
        workshop.job(
            "echo partial > out.txt; python3 -c 'import sys; {}[\"spin\"]' ; exit 3",
            workshop.output("out.txt"),
            workshop.log(),
        )
    )
    final = workshop.server.final
    assert (final["pilot_error_code"], final["trans_exit_code"]) == (1305, 3)
    assert final["pilot_error_diag"] == "Failed to execute payload: exit code 3: KeyError: 'spin'"
    assert "Traceback" in final["payload_stderr"]
    assert set(json.loads(final["job_output_report"])) == {"job.log.tgz"}
    assert "work/out.txt" in members(workshop.storage / "out" / "job.log.tgz")


def test_a_missing_output_gives_1165_and_its_name(workshop: Workshop) -> None:
    workshop.run(workshop.job("mkdir there", workshop.output("there")))
    assert workshop.server.final["pilot_error_code"] == 1165
    assert workshop.server.final["pilot_error_diag"].endswith("there")
    assert workshop.leftovers == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"checksum": "ad:00000001"}, 1171),
        ({"size_bytes": 4}, 1099),
        ({"pfn": "/nowhere/at/all"}, 1103),
        ({"pfn": "/dev/zero"}, 1099),
        ({"mover": "teleport"}, 1323),
        ({"local_name": "../escape"}, 1371),
        ({"local_name": "/etc/escape"}, 1371),
        ({"pfn": ""}, 1110),
    ],
)
def test_an_input_that_cannot_be_had_fails_the_job_before_the_payload(
    workshop: Workshop, changes: dict[str, object], code: int
) -> None:
    workshop.run(workshop.job("touch started", {**workshop.input("in.txt", b"12345"), **changes}))
    final = workshop.server.final
    assert final["pilot_error_code"] == code
    assert "running" not in workshop.server.states
    assert len(final["pilot_error_diag"]) <= 500


def test_outputs_that_cannot_be_stored_stay_in_the_job_directory(workshop: Workshop) -> None:
    blocked = workshop.storage / "file"
    blocked.write_text("")
    workshop.run(workshop.job("echo precious > out", workshop.output("out", pfn=str(blocked / "out"))))
    assert workshop.server.final["pilot_error_code"] == 1137
    assert (workshop.leftovers[0] / "work" / "out").read_text() == "precious\n"


def test_binary_output_and_a_log_without_newline_are_reported_as_text(workshop: Workshop) -> None:
    workshop.run(workshop.job(r"printf 'a\0b\377' ; printf 'the last words' >&2; exit 1"))
    assert workshop.server.final["payload_stdout"] == "ab\N{REPLACEMENT CHARACTER}"
    assert workshop.server.final["pilot_error_diag"].endswith("exit code 1: the last words")


def test_only_the_end_of_a_long_log_travels_with_the_report(workshop: Workshop) -> None:
    workshop.run(workshop.job("seq 1000000"))
    lines = workshop.server.final["payload_stdout"].splitlines()
    assert lines[-1] == "1000000"
    assert lines[0].isdigit() and int(lines[0]) == 1_000_001 - len(lines)
    assert len(workshop.server.final["payload_stdout"]) <= 65_536


def test_a_program_with_parameters_runs_without_a_shell(workshop: Workshop) -> None:
    workshop.run(workshop.job("-c 'import sys; print(sys.argv[1:])' '*' 'a b'", transformation="python3"))
    assert workshop.server.final["payload_stdout"] == "['*', 'a b']\n"


def test_an_unknown_program_gives_1346(workshop: Workshop) -> None:
    workshop.run(workshop.job("", transformation="no-such-program"))
    assert workshop.server.final["pilot_error_code"] == 1346


def test_a_segmentation_fault_is_called_one(workshop: Workshop) -> None:
    workshop.run(workshop.job("kill -SEGV $$"))
    assert workshop.server.final["pilot_error_code"] == 1328
    assert workshop.server.final["trans_exit_code"] == 139


def test_broken_pipes_behave_as_in_a_shell(workshop: Workshop) -> None:
    workshop.run(workshop.job("set -o pipefail; yes | head -1; echo ${PIPESTATUS[0]}; true"))
    assert workshop.server.final["payload_stdout"] == "y\n141\n"


def test_credentials_never_reach_the_payload(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = (
        "PANDA_TOKEN",
        "PANDA_DATABASE_URL",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "X509_USER_PROXY",
        "DB_PASSWORD",
    )
    for name in secrets:
        monkeypatch.setenv(name, "the-secret")
    workshop.run(workshop.job("env"))
    environment = dict(
        line.split("=", 1) for line in workshop.server.final["payload_stdout"].splitlines() if "=" in line
    )
    assert "the-secret" not in environment.values()
    assert environment["PANDA_TASK_ID"] == environment["PanDA_TaskID"] == "10000000"
    assert environment["PATH"] == os.environ["PATH"]


def test_cpu_time_and_memory_of_the_whole_tree_are_reported(workshop: Workshop) -> None:
    burn = "x = bytearray(60_000_000); n = sum(range(6_000_000))"
    workshop.run(workshop.job(f"(python3 -c '{burn}') & python3 -c '{burn}'; wait"))
    final = workshop.server.final
    assert final["max_rss"] > 60_000
    assert isinstance(final["cpu_consumption_time"], int)


def test_a_job_without_a_pandaid_is_refused_and_one_without_a_program_fails(workshop: Workshop) -> None:
    with pytest.raises(ValueError, match="without a PandaID"):
        workshop.run({"jobPars": "true"})
    workshop.run(workshop.job("true", transformation=""))
    assert workshop.server.final["pilot_error_code"] == 1110


def test_a_final_report_is_repeated_until_the_server_takes_it(workshop: Workshop) -> None:
    answers = iter([(502, b"<html>proxy"), (500, {}), (200, b"not json"), commanded()])

    def answer(update: dict[str, object]) -> tuple[int, object]:
        return next(answers) if update["job_status"] in ("finished", "failed") else commanded()

    workshop.server.answer_update = answer
    workshop.run(workshop.job("true"), report_limit_s=60)
    assert workshop.server.states.count("finished") == 4
    assert workshop.leftovers == []


def test_a_refused_final_report_is_not_repeated(workshop: Workshop) -> None:
    workshop.server.answer_update = lambda update: refused("no such job")
    workshop.run(workshop.job("true"))
    assert workshop.server.states.count("finished") == 1


def test_what_could_not_be_reported_stays_on_the_node(workshop: Workshop) -> None:
    workshop.server.answer_update = lambda update: (503, b"down")
    workshop.run(workshop.job("echo result > out", workshop.output("out")), report_limit_s=0.1)
    assert [path.name for path in workshop.leftovers[0].glob("work/*")] == ["out"]


def test_a_server_that_is_away_does_not_disturb_the_payload(workshop: Workshop) -> None:
    silent = [True]
    workshop.server.answer_update = lambda update: (503, b"down") if silent[0] else commanded()
    flag = workshop.storage / "go"
    workshop.when(
        lambda: len(workshop.server.updates) >= 2, lambda: (silent.clear(), silent.append(False), flag.touch())
    )
    workshop.run(workshop.job(f"while [ ! -e {flag} ]; do sleep 0.05; done; echo done"))
    assert workshop.server.final["payload_stdout"] == "done\n"


@pytest.mark.parametrize("keep", [True, False])
def test_the_work_directory_is_kept_when_asked(workshop: Workshop, keep: bool) -> None:
    workshop.run(workshop.job("mkdir -m 500 closed; true"), keep_work_directory=keep)
    assert bool(workshop.leftovers) == keep


def test_processes_left_behind_by_a_payload_are_ended(workshop: Workshop) -> None:
    pid_file = workshop.storage / "pid"
    workshop.run(
        workshop.job(f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 1000' & while [ ! -s {pid_file} ]; do :; done")
    )
    pid = int(pid_file.read_text())
    assert wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert workshop.server.final["job_status"] == "finished"


def test_a_storage_that_is_full_gives_1333_and_the_failing_line_still_travels(workshop: Workshop) -> None:
    make_output = "ulimit -S -f unlimited; echo my last words >&2; head -c 6000000 /dev/zero > out"
    with file_size_limit(5_000_000):
        workshop.run(workshop.job(make_output, workshop.output("out"), workshop.log()))
    final = workshop.server.final
    assert final["pilot_error_code"] == 1333
    assert final["payload_stderr"] == "my last words\n"
    assert [path.name for path in (workshop.storage / "out").iterdir()] == ["job.log.tgz"]
    assert (workshop.leftovers[0] / "work" / "out").stat().st_size == 6_000_000


def test_linked_inputs_are_read_in_place_and_never_removed(workshop: Workshop) -> None:
    linked = workshop.input("in.txt", b"content", mover="symlink")
    workshop.run(workshop.job("cat in.txt; [ -h in.txt ]", linked))
    assert workshop.server.final["payload_stdout"] == "content"
    assert workshop.server.final["job_status"] == "finished"
    assert Path(linked["pfn"]).read_bytes() == b"content"


def test_heartbeats_go_on_while_files_are_staged(workshop: Workshop) -> None:
    many = [workshop.input(f"in{number}", os.urandom(20_000_000)) for number in range(8)]
    workshop.run(workshop.job("true", *many), heartbeat_s=0.01)
    assert workshop.server.states.count("starting") > 1


def test_a_description_too_long_for_a_command_line_fails_the_job_not_the_pilot(workshop: Workshop) -> None:
    workshop.run(workshop.job("x" * 10_000_000, transformation="echo"))
    assert workshop.server.final["pilot_error_code"] == 1110


def test_a_shell_text_may_be_as_long_as_it_likes(workshop: Workshop) -> None:
    workshop.run(workshop.job("wc -c <<'end'\n" + "x" * 10_000_000 + "\nend"))
    assert workshop.server.final["payload_stdout"] == "10000001\n"


def test_two_inputs_of_one_name_fail_the_job(workshop: Workshop) -> None:
    workshop.run(workshop.job("true", workshop.input("a", b"1"), workshop.input("b", b"2", local_name="./a")))
    assert workshop.server.final["pilot_error_code"] == 1110


def test_a_node_whose_disk_is_full_says_so(workshop: Workshop) -> None:
    with file_size_limit(100):
        workshop.run(workshop.job("true #" + "x" * 1000))
    assert workshop.server.final["pilot_error_code"] == 1098


SECRETS = json.dumps({"word": "swordfish", "___file___:key.bin": base64.b64encode(b"\0private\xff").decode()})


def test_secrets_of_the_user_are_there_for_the_payload_and_nowhere_after_it(workshop: Workshop) -> None:
    keeps = 'base64 -d <<< $(sed \'s/.*key.bin": "//; s/".*//\' panda_secrets.json) > sub.bin; mkdir d; cp sub.bin d/key.bin'
    command = f"stat -c %a panda_secrets.json > out; cat panda_secrets.json >> out; {keeps}; mv sub.bin key.bin; exit 3"
    workshop.run({**workshop.job(command, workshop.log()), "secrets": SECRETS})
    with tarfile.open(workshop.storage / "out" / "job.log.tgz") as archive:
        contents = {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive}
    assert contents["work/out"].decode() == f"600\n{SECRETS}"
    assert not {name for name in contents if name.endswith(("panda_secrets.json", "key.bin"))}
    assert b"swordfish" not in contents["pilot.log"]
    assert "swordfish" not in str(workshop.server.updates)
    assert workshop.leftovers == []


def test_a_job_without_secrets_has_no_file_of_them(workshop: Workshop) -> None:
    workshop.run({**workshop.job("ls -A"), "secrets": None})
    assert workshop.server.final["payload_stdout"] == ""
