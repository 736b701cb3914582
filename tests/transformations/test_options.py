"""Every option prun can append is known: used, named as without effect, or refused with the reason."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.transformations.programs.failing import Failure
from api.transformations.programs.options import OPTIONS, parse
from api.transformations.programs.wording import expanded, mapping_in, names_in
from tests.transformations.conftest import Job

CAPTURED = json.loads((Path(__file__).parent / "captured_prun.json").read_text())
"""What the real prun 2.2.0 makes of some command lines (made by capture_prun.py): command line -> arguments."""


@pytest.mark.parametrize("case", CAPTURED, ids=[case["name"] for case in CAPTURED])
def test_all_that_the_real_prun_composes_is_understood(
    case: dict[str, str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    parsed = parse(shlex.split(case["arguments"]))
    said = capfdbinary.readouterr().out.decode()
    assert set(said.removeprefix("without effect here: ").split()) <= {
        "--useCentralRegistry", "--cmtConfig", "--overwriteQueuedata",
    }  # fmt: skip
    assert parsed.text("-p") or case["step"] == "build"


def test_what_has_no_meaning_here_is_named_and_the_job_runs(job: Job) -> None:
    done = job.run("echo ran", "--cmtConfig", "x86_64", "--useCMake", "--newThing", "value", "--other=1", "stray")
    assert (done.returncode, done.stderr) == (0, "")
    assert "without effect here: --cmtConfig --useCMake --newThing value --other=1 stray\n" in done.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--useAthenaPackages"], "Athena"),
        (["--useRootCore"], "RootCore"),
        (["--rootVer", "99.00/00"], "ROOT 99.00/00"),
        (["--fileToSave=a", "--fileToLoad=a"], "workflow"),
        (["--dbrFile=DBRelease-5.1.1.tar.gz"], "database release"),
        (["--goodRunListXML", "g.xml"], "good run list"),
    ],
)
def test_what_needs_software_that_is_not_here_is_refused_in_a_sentence(job: Job, options: list[str], word: str) -> None:
    done = job.run("touch started", *options)
    assert (done.returncode, len(done.stderr.splitlines())) == (69, 1)
    assert word in done.stderr
    assert not list(job.directory.rglob("started"))


def test_the_version_of_root_that_is_here_is_good(job: Job) -> None:
    tool = job.file("bin/root-config", "#!/bin/sh\necho 6.28/04\n")
    tool.chmod(0o755)
    assert job.run("true", "--rootVer", "6.28.04", PATH=f"{tool.parent}:/usr/local/bin:/usr/bin:/bin").returncode == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-o", "not a dictionary"], 64),
        (["-o", "{'a': '../escape'}"], 64),
        (["-o", "{'../a': 'x'}"], 64),
        (["-o", "{'/etc/*': 'x'}"], 64),
        (["--inMap", "[1"], 64),
        (["-r", "../.."], 64),
        (["-r", "/etc"], 64),
        (["-i", "['/etc/passwd']"], 64),
        (["-i", "['../outside']"], 64),
        (["-i", "['not there']"], 66),
        (["--writeInputToTxt", "IN:x"], 64),
        (["--writeInputToTxt", "nonsense"], 64),
        (["-a"], 64),
    ],
)
def test_arguments_that_make_no_sense_end_the_job_before_the_command(job: Job, options: list[str], code: int) -> None:
    done = job.start("runGen-00-00-02", "--sourceURL", job.cache.url, "-r", ".", "-p", "touch%20started", *options)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert not list(job.directory.rglob("started"))


def test_a_job_without_a_command_is_refused(job: Job) -> None:
    assert job.start("runGen-00-00-02", "-r", ".", "-p", "").returncode == 64
    assert job.start("runGen-00-00-02").returncode == 64


def test_a_value_may_begin_with_a_dash() -> None:
    parsed = parse(["-p", "-x%20y", "--datadir=/a=b", "-r", "."])
    assert (parsed.text("-p"), parsed.text("--datadir"), parsed.text("-r")) == ("-x%20y", "/a=b", ".")


@given(st.lists(st.sampled_from([name for option in OPTIONS for name in option.names]) | st.text(max_size=8)))
def test_no_command_line_breaks_the_parser(words: list[str]) -> None:
    try:
        parse(words)
    except Failure as failure:
        assert failure.code == 64


@given(st.lists(st.text(max_size=20)))
def test_lists_are_read_as_they_were_written(names: list[str]) -> None:
    assert names_in(repr(names)) == names
    assert mapping_in("--inMap", repr({"IN": names})) == {"IN": names}


@given(st.text(max_size=60))
def test_no_text_breaks_the_readers(text: str) -> None:
    assert isinstance(names_in(text), list)
    try:
        mapping_in("-o", text)
    except Failure as failure:
        assert failure.code == 64


@given(st.text(alphabet="ab '\"\\%IN$`\n", max_size=30))
def test_plain_names_go_in_as_they_are(command: str) -> None:
    text = expanded(command, {"IN": ["plain.root"]}, [], 1)
    assert text.replace("plain.root", "%IN") == command


def test_names_as_lists_without_quotes_are_names_between_commas() -> None:
    assert names_in("a.root,b.root") == names_in("[a.root, b.root]") == ["a.root", "b.root"]
    assert names_in("a-1.root") == ["a-1.root"]
