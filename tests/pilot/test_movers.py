"""The movers on real files: complete or nothing, whatever the storage does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pilot.movers import MOVERS, Mover, Transfer, TransferError
from pilot.movers.base import FileMissing, NoSpace, TransferTimeout, time_limit_s


def unhurried(size_bytes: int = 0) -> Transfer:
    return Transfer.begin(lambda: None, size_bytes)


@contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """Writing beyond it fails, as on a full disk or beyond a quota."""
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture(params=sorted(MOVERS))
def mover(request: pytest.FixtureRequest) -> Mover:
    """Every mover there is."""
    return MOVERS[request.param]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A program of 10 MB, so that copying takes several pieces."""
    path = tmp_path / "a name\nwith 'everything' \N{SNOWMAN}"
    path.write_bytes(os.urandom(10_000_000))
    path.chmod(0o750)
    return path


def test_get_brings_the_content_and_the_permissions(mover: Mover, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "here"
    mover.get(str(source), destination, unhurried())
    assert destination.read_bytes() == source.read_bytes()
    assert destination.stat().st_mode == source.stat().st_mode


def test_put_makes_directories_replaces_older_files_and_leaves_nothing_else(
    mover: Mover, source: Path, tmp_path: Path
) -> None:
    pfn = tmp_path / "deep" / "er" / "stored"
    for _ in range(2):
        mover.put(source, str(pfn), unhurried())
    assert pfn.read_bytes() == source.read_bytes()
    assert [path.name for path in pfn.parent.iterdir()] == ["stored"]
    assert len(mover.adler32(str(pfn), unhurried())) == 8


def test_a_full_storage_leaves_no_partial_file(mover: Mover, source: Path, tmp_path: Path) -> None:
    pfn = tmp_path / "storage" / "stored"
    with file_size_limit(5_000_000), pytest.raises(NoSpace):
        mover.put(source, str(pfn), unhurried())
    assert list(pfn.parent.iterdir()) == []


def test_a_storage_without_room_at_all_is_full(source: Path, tmp_path: Path) -> None:
    """A real file system of 1 MB, where this user may mount one."""
    storage = tmp_path / "tiny"
    storage.mkdir()
    program = (
        "import sys; from pathlib import Path; from tests.pilot.test_movers import *\n"
        "try: MOVERS['cp'].put(Path(sys.argv[1]), sys.argv[2], unhurried())\n"
        "except NoSpace: print('full', list(Path(sys.argv[2]).parent.iterdir()))"
    )
    shell = f'mount -t tmpfs -o size=1m tiny "{storage}" && exec "$@"'
    command = [sys.executable, "-c", program, str(source), str(storage / "stored")]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this machine lets nobody mount a file system of their own")
    assert done.stdout == "full []\n", done.stderr


def test_a_get_onto_a_full_disk_leaves_no_partial_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with file_size_limit(5_000_000), pytest.raises(NoSpace):
        MOVERS["cp"].get(str(source), tmp_path / "job" / "in", unhurried())
    assert list((tmp_path / "job").iterdir()) == []


def test_a_missing_replica_is_not_worth_another_attempt(mover: Mover, tmp_path: Path) -> None:
    with pytest.raises(FileMissing) as caught:
        mover.get(str(tmp_path / "nothing"), tmp_path / "in", unhurried())
    assert not caught.value.worth_retrying
    assert not os.path.lexists(tmp_path / "in")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_never_opened(mover: Mover, tmp_path: Path, make: object) -> None:
    make(tmp_path / "thing")  # type: ignore[operator]
    with pytest.raises(TransferError):
        mover.get(str(tmp_path / "thing"), tmp_path / "in", unhurried())
    with pytest.raises(TransferError):
        mover.put(Path(__file__), str(tmp_path / "thing"), unhurried())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_replica_says_so(mover: Mover, source: Path, tmp_path: Path) -> None:
    source.chmod(0)
    with pytest.raises(TransferError, match="Permission denied"):
        mover.get(str(source), tmp_path / "in", unhurried())


def test_a_transfer_that_takes_too_long_ends_without_a_partial_file(source: Path, tmp_path: Path) -> None:
    late = Transfer.begin(lambda: None, 0, limit_s=-1.0)
    with pytest.raises(TransferTimeout):
        MOVERS["cp"].put(source, str(tmp_path / "out" / "stored"), late)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_transfer_is_interrupted_between_pieces(source: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MOVERS["cp"].put(source, str(tmp_path / "out" / "stored"), Transfer.begin(interrupt, 0))
    assert list((tmp_path / "out").iterdir()) == []


def test_the_time_limit_grows_with_the_size_up_to_three_hours() -> None:
    assert time_limit_s(0) == 400
    assert time_limit_s(600_000_000) == 1000
    assert time_limit_s(10**15) == 3 * 3600
