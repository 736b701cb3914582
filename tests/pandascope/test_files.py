"""Which files a user means, what jobs call them, what is refused before anything is submitted."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandascope.errors import Usage
from pandascope.files import find_files, logical_names, measure

WEIRD = [
    "a b.txt",
    "it's.txt",
    'say "hi".txt',
    "ünï-日本.txt",
    "new\nline.txt",
    "c,d.txt",
    "-rf.txt",
    "x[1].txt",
    "$(id).txt",
    "*.txt",
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"content of {name}\n")


def lfns(*patterns: str) -> list[str]:
    return [file.lfn for file in find_files(patterns, "--in")]


def shell(pattern: str) -> list[str]:
    listed = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {pattern}"], capture_output=True, check=True, env={"LC_ALL": "C"}
    )
    return listed.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    "pattern", ["data/*", "data/*.txt", "./data/*.txt", "data/?.txt", "data/[ab]*", "d*/*", "*/x*"]
)
def test_a_pattern_gives_what_a_shell_gives_in_its_order(here: Path, pattern: str) -> None:
    make(*(f"data/{name}" for name in WEIRD), "data/b.txt", "data/a.txt", "data/.hidden", "data2/xyz")
    assert lfns(pattern) == shell(pattern)


@pytest.mark.parametrize("name", [name for name in WEIRD if name != "*.txt"])
def test_a_name_that_exists_is_taken_literally(here: Path, name: str) -> None:
    make(*WEIRD)
    assert lfns(name) == [name]


def test_a_path_is_never_a_pattern(here: Path) -> None:
    make(*WEIRD)
    assert [file.lfn for file in find_files([Path("*.txt")], "--in")] == ["*.txt"]


def test_two_stars_go_any_depth_but_not_through_links(here: Path) -> None:
    make("d/a.txt", "d/e/b.txt", "d/e/f/c.txt", "d/.git/x.txt", "d/e/no.csv")
    Path("d/e/circle").symlink_to(here / "d")
    assert lfns("d/**/*.txt") == ["d/a.txt", "d/e/b.txt", "d/e/f/c.txt"]
    assert lfns("**/c.txt") == ["d/e/f/c.txt"]
    assert lfns("d/**") == ["d/a.txt", "d/e/b.txt", "d/e/f/c.txt", "d/e/no.csv"]


def test_a_directory_means_the_files_below_it(here: Path) -> None:
    make("d/b", "d/a/z", "d/.hidden")
    assert lfns("d") == ["d/a/z", "d/b"]
    assert lfns("d/") == ["d/a/z", "d/b"]


def test_several_patterns_keep_their_order(here: Path) -> None:
    make("b1", "b2", "a1", "a2")
    assert lfns("b*", "a2", "a1") == ["b1", "b2", "a2", "a1"]


def test_files_elsewhere_are_called_relative_to_their_parent(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "sub").mkdir()
    for name in ("x.txt", "sub/y.txt"):
        (other / name).write_text("")
    make("data/a.txt")
    assert lfns("data/a.txt", str(other / "sub/y.txt"), str(other / "x.txt")) == ["data/a.txt", "sub/y.txt", "x.txt"]
    assert lfns(str(other / "x.txt")) == ["x.txt"]


def test_names_that_would_collide_get_longer(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "a.txt").write_text("")
    make("a.txt")
    names = lfns("a.txt", str(other / "a.txt"))
    assert len(set(names)) == 2
    assert all(not name.startswith("/") and ".." not in name for name in names)


def test_a_path_through_a_link_and_back_is_the_file_the_system_means(here: Path) -> None:
    make("real/deep/x", "real/a.txt")
    Path("link").symlink_to("real/deep")
    (found,) = find_files(["link/../a.txt"], "--in")
    assert found.path == (here / "real/a.txt").resolve()


@pytest.mark.parametrize(
    ("patterns", "code"),
    [
        (["missing.txt"], "no_such_file"),
        (["*.nothing"], "no_such_file"),
        (["empty"], "no_such_file"),
        (["a.txt", "./a.txt"], "duplicate_input"),
        (["*.txt", "a.txt"], "duplicate_input"),
        (["broken"], "no_such_file"),
        (["pipe"], "not_a_file"),
    ],
)
def test_what_cannot_be_an_input_is_refused(here: Path, patterns: list[str], code: str) -> None:
    make("a.txt")
    Path("empty").mkdir()
    Path("broken").symlink_to("nowhere")
    os.mkfifo("pipe")
    with pytest.raises(Usage) as caught:
        find_files(patterns, "--in")
    assert (caught.value.code, caught.value.field, caught.value.exit_code) == (code, "--in", 2)


def test_a_name_that_is_not_text_is_refused(here: Path) -> None:
    Path(os.fsdecode(b"caf\xe9.txt")).write_text("")
    with pytest.raises(Usage, match="UTF-8"):
        find_files(["*.txt"], "--in")


def test_sizes_and_checksums_are_those_of_the_bytes(here: Path) -> None:
    contents = {"empty": b"", "text": b"abc", "large": os.urandom(3_000_000)}
    for name, content in contents.items():
        Path(name).write_bytes(content)
    seen = []
    files = measure(find_files(list(contents), "--in"), lambda file: seen.append(file.lfn))
    assert seen == list(contents)
    for file in files:
        assert file.size_bytes == len(contents[file.lfn])
        assert file.checksum == f"ad:{zlib.adler32(contents[file.lfn]):08x}"


_PART = st.text("ab.*- ", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
_PATH = st.lists(_PART, min_size=1, max_size=3).map("/".join)


@given(st.lists(st.tuples(st.sampled_from(["", "/", "./", "../"]), _PATH), min_size=1, max_size=6, unique=True))
def test_logical_names_stay_inside_the_job_directory(written: list[tuple[str, str]]) -> None:
    names = logical_names([prefix + path for prefix, path in written])
    for name in names:
        assert name and not name.startswith("/") and ".." not in name.split("/") and "" not in name.split("/")
