"""What a test needs and the machine may lack: skipped with a reason, but an error where nothing may be missing (CI)."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

_NO_SKIP = os.environ.get("PANDASCOPE_NO_SKIP") == "1"
"""No name of ours: tests/conftest.py clears PANDA_* from the environment, and further test processes start after that."""


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it when PANDASCOPE_NO_SKIP=1."""
    if _NO_SKIP:
        pytest.fail(f"{reason} (PANDASCOPE_NO_SKIP=1)")
    pytest.skip(reason)
