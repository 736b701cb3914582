"""runcontainer: the command runs inside the image; a node that cannot do that says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.transformations.conftest import CONTAINER, Job

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds a whole, small system: a shell, cat, and a file that tells it is one."""
    root = tmp_path_factory.mktemp("image")
    for program in ("sh", "cat", "ls"):
        path = Path(shutil.which(program) or "").resolve()
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for file in [str(path), *(word for word in linked.split() if word.startswith("/"))]:
            target = root / file.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        name = root / "bin" / program
        name.parent.mkdir(exist_ok=True)
        if not name.exists():
            name.symlink_to(path)
    (root / "dev").mkdir()
    (root / "inside").write_text("a small system\n")
    return root


def start(job: Job, command: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    usual = ["-j", "", "--sourceURL", job.cache.url, "-r", "."]
    return job.start(CONTAINER, *usual, "-p", quote(command), *options, **{"PATH": SYSTEM_PATH, **environment})


def can_change_root() -> bool:
    options = ["--mount"] if os.getuid() == 0 else ["--mount", "--user", "--map-root-user"]
    return subprocess.run(["unshare", *options, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_change_root(), reason="this host allows no namespaces")
def test_a_command_runs_inside_a_directory_image_with_the_jobs_files(job: Job, image: Path) -> None:
    job.cache.add("jobO.1.tar.gz", run_sh="#!/bin/sh\ncat /inside $1 > out; ls /ctrdata\n")
    job.file("in.txt", "my input\n")
    done = start(
        job, "./run.sh %IN", "-a", "jobO.1.tar.gz", "-i", "['in.txt']", "-o", "{'out': 'l.out'}", "--containerImage", str(image)
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert job.text("l.out") == "a small system\nmy input\n"
    assert start(job, "cat /inside; exit 3", PANDA_CONTAINER_NAME=str(image)).returncode == 3
    assert not (image / "ctrdata" / "in.txt").exists()


@pytest.mark.skipif(not can_change_root(), reason="this host allows no namespaces")
def test_data_and_working_directory_are_where_the_user_wants_them(job: Job, image: Path) -> None:
    done = start(
        job, "cat inside > /data/out; ls /data/__run_main_exec.sh", "-o", "{'out': 'l.out'}",
        "--datadir", "/data", "--workdir", "/", "--containerName", str(image),
    )  # fmt: skip
    assert (done.returncode, job.text("l.out")) == (0, "a small system\n")


FAKE = """#!/bin/sh
[ "$1" = info ] && exit {usable}
printf '%s\\n' "$0" "$@" > {log}
exit 5
"""


NATIVE = ["exec", "--bind", "JOB:/ctrdata", "--bind", "/cvmfs", "--pwd", "/ctrdata", "docker://alma:9", "sh"]
SERVED = ["run", "--rm", "--init", "--volume", "JOB:/ctrdata", "--volume", "/cvmfs:/cvmfs:ro"]


@pytest.mark.parametrize(
    ("engines", "expected"),
    [(["apptainer", "docker"], NATIVE), (["singularity"], NATIVE), (["podman"], SERVED), (["docker"], SERVED)],
)
def test_the_first_engine_of_the_node_gets_the_image_and_the_binds(
    job: Job, engines: list[str], expected: list[str]
) -> None:
    log = job.directory.parent / "asked"
    for engine in engines:
        job.file(f"bin/{engine}", FAKE.format(log=log, usable=0)).chmod(0o755)
    done = start(job, "true", "--containerImage", "alma:9", "--cvmfs", PATH=f"{job.directory}/bin:{SYSTEM_PATH}")
    said = log.read_text().splitlines()
    wanted = [word.replace("JOB", str(job.directory)) for word in expected]
    assert (done.returncode, Path(said[0]).name, said[1 : 1 + len(wanted)]) == (5, engines[0], wanted)
    assert said[-1] == "/ctrdata/__run_main_exec.sh"


def test_a_node_without_any_engine_says_so(job: Job) -> None:
    job.file("bin/docker", FAKE.format(log="/dev/null", usable=1)).chmod(0o755)
    tools = job.directory / "bin"
    for program in ("bash", "sh", "env"):
        (tools / program).symlink_to(Path(shutil.which(program) or ""))
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    done = start(job, "true", "--containerImage", "alma:9", PATH=str(tools))
    assert (done.returncode, done.stderr) == (
        69,
        "runcontainer: error: the image alma:9 cannot be run: "
        "this node has no apptainer, singularity, podman or a running docker\n",
    )


def test_without_an_image_runcontainer_does_not_run_outside_one(job: Job) -> None:
    done = start(job, "touch started")
    assert (done.returncode, list(job.directory.rglob("started"))) == (64, [])


def test_grid_certificates_stay_outside_on_demand(job: Job) -> None:
    shown = job.run("echo [$X509_USER_PROXY]", X509_USER_PROXY="/p").stdout
    hidden = job.run("echo [$X509_USER_PROXY]", "--noX509", X509_USER_PROXY="/p").stdout
    assert (shown.splitlines()[-1], hidden.splitlines()[-1]) == ("[/p]", "[]")
