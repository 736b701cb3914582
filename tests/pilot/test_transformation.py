"""A transformation that is a URL: downloaded, checked, run like the real pilot runs it; and PanDA's own programs run by it."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest

from api.transformations import TRANSFORMATIONS
from logger.culprit import find_culprit
from pilot.transformation import local_name
from tests.pilot.conftest import Workshop
from tests.pilot.test_job import members
from tests.transformations.conftest import archive

SCRIPT = b'#!/bin/sh\nfor word; do echo "[$word]"; done\nenv > environment\n'
RUN = "/trf/user/runGen-00-00-02"


def serve(workshop: Workshop, path: str, *answers: tuple[int, bytes] | bytes) -> str:
    """Let the server answer with these contents, one after the other; the URL."""
    workshop.server.files[path] = [answer if isinstance(answer, tuple) else (200, answer) for answer in answers]
    return workshop.server.url + path


def test_the_program_runs_in_the_jobs_directory_with_its_words(workshop: Workshop) -> None:
    url = serve(workshop, "/trf/user/show-00-00-01", SCRIPT)
    workshop.run(
        workshop.job("""-p "a b" 'c"d' $HOME "|" é""", workshop.output("environment"), transformation=url),
    )
    final = workshop.server.final
    assert (final["job_status"], final["trans_exit_code"]) == ("finished", 0)
    assert final["payload_stdout"] == '[-p]\n[a b]\n[c"d]\n[$HOME]\n[|]\n[é]\n'
    assert "PANDAID=" in (workshop.storage / "out" / "environment").read_text()


def test_no_credentials_leave_the_pilot_with_the_download_or_reach_the_program(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANDA_AUTH_ID_TOKEN", "secret-1")
    monkeypatch.setenv("BEARER_TOKEN", "secret-2")
    monkeypatch.setenv("X509_USER_PROXY", "/secret-3")
    url = serve(workshop, "/trf/user/show-00-00-01", SCRIPT)
    workshop.run(workshop.job("", workshop.output("environment"), transformation=url, container_name="alma:9"))
    seen = (workshop.storage / "out" / "environment").read_text()
    assert "secret-" not in seen
    assert "PANDA_CONTAINER_NAME=alma:9\n" in seen
    assert all("Authorization" not in headers for _, headers in workshop.server.fetched)


@pytest.mark.parametrize(
    ("answers", "why", "tries"),
    [
        ([(404, b"<html>Not Found</html>")], "HTTP 404 Not Found", 1),
        ([(403, b"")], "HTTP 403 Forbidden", 1),
        ([(500, b"")], "HTTP 500 Internal Server Error", 3),
        ([b"\n <!DOCTYPE html><html>"], "the answer is no program", 1),
        ([b'{"success": false}'], "the answer is no program", 1),
        ([b""], "the answer is no program", 1),
    ],
)
def test_a_program_that_cannot_be_had_gives_1149_and_200(
    workshop: Workshop, answers: list[tuple[int, bytes] | bytes], why: str, tries: int
) -> None:
    url = serve(workshop, "/trf/user/none", *answers)
    workshop.run(workshop.job("touch x", workshop.output("x"), workshop.log(), transformation=url))
    final = workshop.server.final
    assert (final["job_status"], final["pilot_error_code"], final["trans_exit_code"]) == ("failed", 1149, 200)
    assert final["pilot_error_diag"].startswith(f"Transform could not be downloaded: {url}: {why}")
    assert (len(workshop.server.fetched), set(json.loads(final["job_output_report"]))) == (tries, {"job.log.tgz"})
    found = find_culprit(final["pilot_log"])
    assert found is not None and why in found.text


def test_a_server_that_comes_back_is_tried_again(workshop: Workshop) -> None:
    url = serve(workshop, "/trf/user/show", (503, b""), (429, b""), SCRIPT)
    assert workshop.run(workshop.job("", transformation=url)).status == "finished"


def test_a_server_that_is_away_gives_1149(workshop: Workshop) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        workshop.run(workshop.job("", transformation=f"http://127.0.0.1:{reserved.getsockname()[1]}/trf/user/x"))
    assert workshop.server.final["pilot_error_code"] == 1149


def test_a_kill_is_obeyed_between_two_tries(workshop: Workshop) -> None:
    url = serve(workshop, "/trf/user/x", (500, b""))
    workshop.when(lambda: bool(workshop.server.fetched), lambda: workshop.orders.give_command("tobekilled"))
    workshop.run(workshop.job("", transformation=url), transfer_pause_s=0.5)
    assert workshop.server.final["pilot_error_code"] == 1144


def test_a_program_without_a_first_line_is_a_shell_script(workshop: Workshop) -> None:
    url = serve(workshop, "/trf/user/plain", b"echo plain $1\nexit 4\n")
    workshop.run(workshop.job("x", transformation=url))
    assert (workshop.server.final["payload_stdout"], workshop.server.final["trans_exit_code"]) == ("plain x\n", 4)


def test_a_file_of_that_name_among_the_inputs_is_the_program(workshop: Workshop) -> None:
    workshop.run(
        workshop.job(
            "", workshop.input("mine", b"#!/bin/sh\necho mine\n"), transformation="http://nowhere.invalid/mine"
        )
    )
    assert (workshop.server.final["payload_stdout"], workshop.server.fetched) == ("mine\n", [])


@pytest.mark.parametrize("url", ["http://host", "http://host/", "http://host/a/..", "http://host/%00"])
def test_a_url_without_a_name_gives_1149(workshop: Workshop, url: str) -> None:
    workshop.run(workshop.job("", transformation=url))
    assert workshop.server.final["pilot_error_code"] == 1149


def test_names_are_the_last_part_of_the_path() -> None:
    assert local_name("https://host:1/trf/user/runGen-00-00-02?x=/y#z") == "runGen-00-00-02"
    assert local_name("http://host/a%2Fb") == "b"


def analysis(
    workshop: Workshop, command: str, outputs: dict[str, str], *files: dict[str, object], **sandbox: str
) -> dict:
    """A job as the engine makes it of what prun sent (captured_prun.json)."""
    content = archive({name.replace("_", "."): text for name, text in sandbox.items()})
    serve(workshop, "/cache/jobO.1.tar.gz", content)
    url = serve(workshop, RUN, TRANSFORMATIONS["runGen-00-00-02"]())
    given = str([file["lfn"] for file in files])
    text = f'-j "" --sourceURL {workshop.server.url} -r . -a jobO.1.tar.gz -o "{outputs}" -i "{given}" -p "{quote(command)}" '
    wanted = [workshop.output(lfn) for lfn in outputs.values()]
    return workshop.job(text, *files, *wanted, workshop.log(), transformation=url)


def test_a_prun_job_finishes_with_its_output_under_its_final_name(workshop: Workshop) -> None:
    job = analysis(
        workshop, "./run.sh %IN | tee out.txt", {"out.txt": "user.me.1._000001.out.txt"},
        workshop.input("a.root", b"data"), run_sh='#!/bin/sh\necho "$1 $(cat $1)"\n',
    )  # fmt: skip
    assert workshop.run(job).status == "finished"
    assert (workshop.storage / "out" / "user.me.1._000001.out.txt").read_text() == "a.root data\n"
    assert members(workshop.storage / "out" / "job.log.tgz") >= {"work/runGen-00-00-02", "work/__run_main_exec.sh"}


def test_a_failing_prun_job_keeps_its_exit_code_and_its_culprit_is_the_users_line(workshop: Workshop) -> None:
    script = "import sys\nprint('step 1'); print('careful', file=sys.stderr)\nraise ValueError('no magnet in ' + sys.argv[1])\n"
    job = analysis(
        workshop, "python3 fit.py %IN || exit 3", {"o": "user.o"}, workshop.input("a.root", b"data"), fit_py=script
    )  # fmt: skip
    workshop.run(job)
    final = workshop.server.final
    assert (final["pilot_error_code"], final["trans_exit_code"]) == (1305, 3)
    assert final["pilot_error_diag"] == "Failed to execute payload: exit code 3: ValueError: no magnet in a.root"
    assert final["payload_stderr"].endswith("ValueError: no magnet in a.root\n")
    found = find_culprit(final["payload_stderr"])
    assert found is not None
    assert (found.text, found.pattern, found.where) == (
        "ValueError: no magnet in a.root",
        "python_traceback",
        "fit.py:<module>",
    )


def test_a_missing_command_is_the_culprit(workshop: Workshop) -> None:
    workshop.run(analysis(workshop, "./rum.sh %IN", {"o": "user.o"}, run_sh=""))
    final = workshop.server.final
    found = find_culprit(final["payload_stderr"])
    assert (final["trans_exit_code"], found and found.pattern) == (127, "shell")
    assert "./rum.sh" in final["pilot_error_diag"]


def test_a_missing_output_of_a_prun_job_gives_1165(workshop: Workshop) -> None:
    workshop.run(analysis(workshop, "true", {"o": "user.o"}))
    assert (workshop.server.final["pilot_error_code"], workshop.server.final["trans_exit_code"]) == (1165, 0)


def test_an_output_that_need_not_be_made_is_no_failure(workshop: Workshop) -> None:
    job = analysis(workshop, "echo x > a", {"a": "user.a", "o": "user.o"})
    assert workshop.run({**job, "allowNoOutput": ["user.o"]}).status == "finished"
    assert set(json.loads(workshop.server.final["job_output_report"])) == {"user.a", "job.log.tgz"}


def test_a_missing_sandbox_is_the_culprit(workshop: Workshop) -> None:
    job = analysis(workshop, "true", {"o": "user.o"})
    del workshop.server.files["/cache/jobO.1.tar.gz"]
    workshop.run(job)
    final = workshop.server.final
    found = find_culprit(final["payload_stderr"])
    assert (final["pilot_error_code"], final["trans_exit_code"]) == (1305, 74)
    assert found is not None and found.text.endswith("/cache/jobO.1.tar.gz could not be fetched: HTTP 404 Not Found")


def test_a_build_job_stores_its_library(workshop: Workshop) -> None:
    serve(workshop, "/cache/sources.1.tar.gz", archive({"a.c": "x"}))
    url = serve(workshop, "/trf/user/buildGen-00-00-01", TRANSFORMATIONS["buildGen-00-00-01"]())
    text = f'-i sources.1.tar.gz -o user.lib.tgz --sourceURL {workshop.server.url} -r . --bexec "cp%20a.c%20b.o" '
    assert (
        workshop.run(workshop.job(text, workshop.output("user.lib.tgz", "lib"), transformation=url)).status
        == "finished"
    )
    assert members(workshop.storage / "out" / "user.lib.tgz") == {""} and workshop.server.final["trans_exit_code"] == 0


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b'{"nEvents": 7}', '{"nEvents": 7}'),
        (b"no json", None),
        (b'"\xff"', None),
        (b"1" * 1_000_001, None),
        (b"", None),
    ],
)
def test_what_the_payload_reports_of_itself_is_passed_on_unless_it_is_nonsense(
    workshop: Workshop, content: bytes, sent: str | None
) -> None:
    workshop.run(workshop.job("cat in > jobReport.json", workshop.input("in", content)))
    assert workshop.server.final.get("meta_data") == sent
