"""The embedded PostgreSQL on its bad days: real servers, real signals, real users."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from sqlalchemy import make_url

from core.database import server_tree
from core.database.embedded import ROLE, EmbeddedPostgres
from core.database.server_tree import MAJOR, Account, EmbeddedPostgresError, programs_for
from core.errors import ConfigurationError
from tests.support.scratch import scratch_directory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

START = """
import sys
from core.database.embedded import EmbeddedPostgres
server = EmbeddedPostgres(sys.argv[1])
print(server.start(), server.pid, flush=True)
"""


# Where our packages are, for a Python that is not the virtual environment's own.
PACKAGES = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def data(short_directory: Path) -> Iterator[Path]:
    path = short_directory / "data"
    yield path
    with suppress(EmbeddedPostgresError):
        EmbeddedPostgres(path).stop()


@pytest.fixture(scope="module")
def stopped_installation() -> Iterator[Path]:
    """A data directory whose cluster is made, to be copied: making one is what takes time."""
    with scratch_directory("panda-test-") as path:
        server = EmbeddedPostgres(path)
        server.start()
        server.stop()
        yield path


@pytest.fixture
def server(data: Path, stopped_installation: Path) -> EmbeddedPostgres:
    subprocess.run(["cp", "-a", stopped_installation, data], check=True)
    made = EmbeddedPostgres(data)
    made.start()
    return made


def connect(url: str) -> Any:
    connection = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string())
    connection.autocommit = True
    return connection


def ask(url: str, statement: str) -> Any:
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def processes_of(server: EmbeddedPostgres) -> list[psutil.Process]:
    return list(server._backends())


def start_elsewhere(data: Path, **options: Any) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", START, str(data)]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=PACKAGES, **options)


def python_for_everybody(uid: int) -> str:
    """A Python of this version that another user can run with our packages; this one may be below /root."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command = [python, "-c", "import core.database.embedded"]
        with suppress(OSError):
            if subprocess.run(command, user=uid, env=PACKAGES, capture_output=True, check=False).returncode == 0:
                return python
    pytest.skip("no Python here is in the reach of other users")


def test_a_second_start_finds_the_running_server(server):
    other = EmbeddedPostgres(server.data)
    assert other.start() == server.url
    assert other.pid == server.pid
    assert ask(server.url, "SELECT current_database(), current_user") == ("panda", ROLE)


def test_the_server_has_the_settings_the_job_needs(server):
    expected = {"fsync": "on", "synchronous_commit": "on", "max_connections": "300", "listen_addresses": ""}
    assert {name: ask(server.url, f"SHOW {name}")[0] for name in expected} == expected


def test_processes_that_start_at_once_share_one_server(data):
    starters = [start_elsewhere(data) for _ in range(4)]
    answers = {starter.communicate(timeout=120)[0] for starter in starters}
    assert len(answers) == 1
    assert answers.pop().split()[1] == str(EmbeddedPostgres(data).pid)


def test_the_server_outlives_the_group_of_the_process_that_started_it(data):
    starter = start_elsewhere(data, start_new_session=True)
    line = starter.stdout.readline()  # type: ignore[union-attr]
    with suppress(ProcessLookupError):
        os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    assert EmbeddedPostgres(data).is_running()
    assert ask(line.split()[0], "SELECT 1") == (1,)


def test_stop_leaves_no_process_and_no_socket(server):
    connect(server.url)
    server.stop()
    assert not server.is_running()
    assert processes_of(server) == []
    assert not server._alive_lock_is_held()
    assert not (server.cluster / ".s.PGSQL.5432").exists()
    server.stop()


def test_kill_9_of_the_postmaster_in_mid_transaction_keeps_exactly_what_was_committed(server):
    connection = connect(server.url)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    cursor.execute("BEGIN; INSERT INTO kept VALUES (2)")
    old = server.pid
    os.kill(old, signal.SIGKILL)  # type: ignore[arg-type]
    url = EmbeddedPostgres(server.data).start()
    assert EmbeddedPostgres(server.data).pid != old
    assert ask(url, "SELECT array_agg(n) FROM kept") == ([1],)
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("COMMIT")


def test_a_backend_that_does_not_notice_the_death_of_its_postmaster_is_ended(server):
    connection = connect(server.url)
    backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    os.kill(server.pid, signal.SIGKILL)  # type: ignore[arg-type]
    assert ask(EmbeddedPostgres(server.data).start(), "SELECT 1") == (1,)
    until(lambda: not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE)


def test_kill_9_of_every_process_is_recovered(server):
    ask(server.url, "CREATE TABLE kept AS SELECT 1 AS n")
    for process in [psutil.Process(server.pid), *processes_of(server)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert ask(EmbeddedPostgres(server.data).start(), "SELECT n FROM kept") == (1,)


def test_a_pid_file_that_names_somebody_elses_process_is_no_server(server):
    text = (server.cluster / "postmaster.pid").read_text()
    server.stop()
    lines = text.splitlines()
    for pid in (os.getpid(), 1, 999_999_999):
        (server.cluster / "postmaster.pid").write_text("\n".join([str(pid), *lines[1:]]) + "\n")
        assert not server.is_running()
        assert ask(server.start(), "SELECT 1") == (1,)
        server.stop()


def test_stale_socket_files_do_not_hinder(server):
    server.stop()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(server.cluster / ".s.PGSQL.5432"))
    (server.cluster / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    assert ask(server.start(), "SELECT 1") == (1,)


def test_a_cluster_killed_while_it_was_made_is_made_anew(data):
    (data / "postgres.unfinished" / "base").mkdir(parents=True)
    assert ask(EmbeddedPostgres(data).start(), "SELECT 1") == (1,)


def test_a_directory_of_another_version_is_refused_with_both_versions(server):
    server.stop()
    (server.cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError) as caught:
        server.start()
    assert "PostgreSQL 16" in caught.value.detail
    assert f"{MAJOR}." in caught.value.detail
    assert "--data" in caught.value.remedy
    assert (server.cluster / "PG_VERSION").read_text() == "16\n"


def test_a_directory_with_other_peoples_files_is_refused(data):
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "thesis.tex").write_text("precious")
    if os.geteuid() == 0:
        shutil.chown(data / "postgres", "nobody")
    with pytest.raises(EmbeddedPostgresError, match="not empty"):
        EmbeddedPostgres(data).start()
    assert (data / "postgres" / "thesis.tex").read_text() == "precious"


def test_a_deep_directory_gets_a_short_private_socket_directory(short_directory):
    server = EmbeddedPostgres(short_directory / ("deep" * 30))
    try:
        assert ask(server.start(), "SELECT 1") == (1,)
        directory = server.socket_directory
        assert directory != server.cluster
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    finally:
        server.stop()
    assert not directory.exists()


def test_files_are_closed_to_others(server):
    assert stat.S_IMODE(server.cluster.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) & 0o066 == 0


def test_a_file_in_the_way_of_the_data_directory_is_named(short_directory):
    (short_directory / "data").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        EmbeddedPostgres(short_directory / "data" / "sub").start()
    assert str(short_directory / "data") in caught.value.detail


def test_what_the_server_says_about_a_full_disk_becomes_a_remedy(server):
    server.stop()
    # The server itself reports it: a setting it refuses stands for the line, the reason is the operating system's own.
    server._settings = {**server._settings, "shared_preload_libraries": "'no_such_library'"}
    with pytest.raises(EmbeddedPostgresError) as caught:
        server.start()
    assert "no_such_library" in caught.value.detail
    assert str(server.log) in caught.value.remedy


@as_root
def test_a_full_disk_is_told_in_words(short_directory):
    small = short_directory / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=711", "tmpfs", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no file systems can be mounted here")
    try:
        with pytest.raises(EmbeddedPostgresError) as caught:
            EmbeddedPostgres(small).start()
        assert "is full" in caught.value.remedy
    finally:
        subprocess.run(["umount", str(small)], check=True)


@as_root
def test_root_runs_the_server_as_a_system_user_and_others_cannot_connect(server):
    assert psutil.Process(server.pid).uids().effective == pwd.getpwnam(server_tree.SYSTEM_USER).pw_uid
    nobody = pwd.getpwnam("nobody")
    psql = programs_for(Account("root", 0, 0), server.data) / "psql"
    said = subprocess.run(
        [psql, "-h", server.socket_directory, "-U", ROLE, "-c", "SELECT 1", "panda"],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode != 0
    assert "Permission denied" in said.stderr


@as_root
def test_a_parent_that_the_system_user_may_not_pass_is_named(short_directory):
    closed = short_directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError) as caught:
        EmbeddedPostgres(closed / "data").start()
    assert caught.value.detail.endswith(f"pass through {closed}")
    assert f"chmod o+x {closed}" in caught.value.remedy


@as_root
def test_programs_out_of_reach_are_copied_once(short_directory, monkeypatch):
    data = short_directory / "data"
    installed = server_tree.installed_programs()
    closed = short_directory / "closed"
    packages = installed.parent.parent.parent
    for name in (f"{server_tree._PACKAGE}/{server_tree._TREE}", server_tree._LIBRARIES):
        if (packages / name).exists():
            shutil.copytree(packages / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.setattr(
        server_tree, "installed_programs", lambda: closed / server_tree._PACKAGE / server_tree._TREE / "bin"
    )
    server = EmbeddedPostgres(data)
    try:
        assert ask(server.start(), "SELECT 1") == (1,)
        assert psutil.Process(server.pid).exe().startswith(str(data / "postgres-programs-"))
    finally:
        server.stop()


@as_root
def test_a_normal_user_runs_the_server_as_himself_and_root_finds_it(short_directory):
    nobody = pwd.getpwnam("nobody")
    python = python_for_everybody(nobody.pw_uid)
    who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "executable": python}
    data = short_directory / "data"
    data.mkdir(mode=0o700)
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    out, err = start_elsewhere(data, **who).communicate(timeout=120)
    server = EmbeddedPostgres(data)
    try:
        assert out.split()[:1] == [server.url], err
        assert psutil.Process(server.pid).uids().effective == nobody.pw_uid
        assert server.start() == server.url
        os.kill(server.pid, signal.SIGKILL)  # type: ignore[arg-type]
        again, err = start_elsewhere(data, **who).communicate(timeout=120)
        assert again.split()[:1] == [server.url], err
    finally:
        server.stop()
    data.chmod(0o711)
    _, err = start_elsewhere(data, **{**who, "user": pwd.getpwnam("games").pw_uid}).communicate(timeout=120)
    assert "Permission denied" in err or "belongs to the user nobody" in err
