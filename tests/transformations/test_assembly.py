"""The files that are served: always the same bytes, nothing of ours or of others needed, old Pythons will do."""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api import transformations
from api.transformations import TRANSFORMATIONS
from api.transformations.programs.main import PROGRAMS
from tests.transformations.conftest import Job

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


OLD = [
    found
    for minor in range(8, 11)
    for found in (
        shutil.which(f"python3.{minor}"),
        *map(str, (Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python3")),
    )
    if found
]
"""Older interpreters that happen to be on this machine."""


@pytest.mark.skipif(not OLD, reason="no Python before 3.11 on this machine")
@pytest.mark.parametrize("python", OLD[:2])
def test_a_whole_job_runs_under_an_old_python(job: Job, python: str) -> None:
    job.file("bin/python3").unlink()
    (job.directory / "bin" / "python3").symlink_to(python)
    job.cache.add("jobO.1.tar.gz", run_sh="#!/bin/sh\ncat $1 > out\n")
    job.file("in", "abc")
    done = job.run(
        "./run.sh %IN", "-a", "jobO.1.tar.gz", "-i", "['in']", "-o", "{'out': 'l.out'}",
        PATH=f"{job.directory}/bin:/usr/local/bin:/usr/bin:/bin",
    )  # fmt: skip
    assert (done.returncode, done.stderr, job.text("l.out")) == (0, "", "abc")
