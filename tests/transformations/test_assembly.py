"""The files that are served: always the same bytes, nothing of ours or of others needed, old Pythons will do."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api import transformations
from api.transformations import TRANSFORMATIONS
from api.transformations.programs.main import PROGRAMS

MODULES = sorted((Path(transformations.__file__).parent / "programs").glob("*.py"))


def test_every_name_has_its_program() -> None:
    assert set(TRANSFORMATIONS) == set(PROGRAMS)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_file_is_an_executable_archive_of_the_modules(name: str) -> None:
    content = TRANSFORMATIONS[name]()
    assert content.startswith(b"#!/usr/bin/env python3\n")
    assert content is TRANSFORMATIONS[name]()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {entry.filename for entry in archive.infolist()} == {
            "__main__.py",
            *(f"programs/{m.name}" for m in MODULES),
        }


def test_another_process_makes_the_same_bytes() -> None:
    code = "import sys; from api.transformations import *; sys.stdout.buffer.write(TRANSFORMATIONS['runcontainer']())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert made == TRANSFORMATIONS["runcontainer"]()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_need_the_standard_library_and_each_other_only(module: Path) -> None:
    tree = ast.parse(module.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_use_nothing_that_python_3_8_lacks(module: Path) -> None:
    """Annotations are not evaluated there; elsewhere no methods and no generic aliases of later versions."""
    text = module.read_text()
    later = (
        "removeprefix",
        "removesuffix",
        "is_relative_to",
        ".readlink(",
        "hardlink_to",
        "functools.cache",
        "strict=",
    )
    assert not [word for word in later if word in text]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign | ast.Call):
            generic = [
                inner
                for inner in ast.walk(node)
                if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name)
            ]
            assert not [inner for inner in generic if inner.value.id in ("dict", "list", "tuple", "set")]  # type: ignore[attr-defined]
