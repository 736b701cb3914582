"""Prometheus's own checker (Debian's package `prometheus`, unpacked by .ci/run without its service)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.missing import skip_or_fail


def promtool(*arguments: str, given: str = "") -> str:
    """What promtool says; the test fails when it complains, and is skipped where it is not installed."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not found or not Path(found).exists():
        skip_or_fail("promtool is not installed (Debian: apt-get download prometheus, or set PROMTOOL)")
    done = subprocess.run([found, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
