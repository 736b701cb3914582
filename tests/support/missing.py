"""What a test needs and the machine may lack: skipped with a reason, but an error where nothing may be missing (CI)."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

_NO_SKIP = os.environ.get("PANDA_TEST_NO_SKIP") == "1"
"""Read at import: tests/conftest.py clears PANDA_* from the environment before any test runs."""


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it when PANDA_TEST_NO_SKIP=1."""
    if _NO_SKIP:
        pytest.fail(f"{reason} (PANDA_TEST_NO_SKIP=1)")
    pytest.skip(reason)
