"""The parts of the demonstration; `make demo` is the test of the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pandascope.demo import count_tokens, counting, fail_on_purpose
from pandascope.demo.stack import Stack
from pandascope.errors import ClientError


def sources(folder: Path) -> list[Path]:
    contents = {
        "good.py": b"x = 1\n\n\ndef f():\n    return 'a b'\n",
        "broken.py": b"x = (\n",
        "latin.py": b"# -*- coding: latin-1 -*-\ns = '\xe9'\n",
        "wrong_encoding.py": b"s = '\xe9'\n",
        "indentation.py": b"if x:\n        a\n    b\n",
        "empty.py": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return sorted(folder / name for name in contents)


def test_the_payload_and_the_direct_computation_agree_on_any_file(tmp_path: Path) -> None:
    files = sources(tmp_path)
    names = [path.name for path in files]
    script = str(Path(count_tokens.__file__))
    by_payload = subprocess.run(
        [sys.executable, "-I", "-S", script, *names], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    directly = counting.compute_directly(files, lambda done: None)
    assert by_payload == directly
    assert counting.first_difference(by_payload, directly) == ""
    sums = counting.totals(directly)
    assert (sums.files, sums.not_tokenizable) == (6, 3)
    assert count_tokens.count(tmp_path / "good.py") == (19, 5)


def test_a_difference_is_named(tmp_path: Path) -> None:
    assert "line 2" in counting.first_difference("a\t1\t1\nb\t2\t1\n", "a\t1\t1\nb\t3\t1\n")
    assert "1 lines" in counting.first_difference("a\t1\t1\n", "a\t1\t1\nb\t3\t1\n")


def test_the_input_is_the_library_without_tests_and_added_packages() -> None:
    files = counting.library_files()
    assert len(files) > 200
    assert {"tokenize.py", "ast.py"} <= {path.name for path in files}
    assert not any({"site-packages", "test", "tests"} & set(path.parts[-4:]) for path in files)


def test_the_first_way_to_fail_ends_with_a_traceback_and_code_three(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("nothing of use")
    script = str(Path(fail_on_purpose.__file__))
    ended = [
        subprocess.run(
            [sys.executable, script, str(number), "in", "out"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for number in (1, 2)
    ]
    assert [end.returncode for end in ended] == [3, 0]
    assert ended[0].stderr.splitlines()[-1] == "ValueError: no calibration constant in the input"
    assert not (tmp_path / "out").exists()


def test_a_stack_that_cannot_start_says_why_and_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "panda.toml").write_text("no_such_setting = 1\n")
    stack = Stack(tmp_path)
    with pytest.raises(ClientError, match="no_such_setting") as caught:
        stack.start()
    assert str(tmp_path / "logs") in caught.value.remedy
