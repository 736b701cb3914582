"""The benchmark of the pilots' calls runs: what it measures is for people to judge, that it measures is for us."""

from __future__ import annotations

import re
import subprocess
import sys


def test_every_hot_call_is_measured_beside_its_own_statement_and_none_is_refused() -> None:
    command = [sys.executable, "-m", "bench", "--jobs", "6000", "--seconds", "1", "--rounds", "1", "--clients", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    for call in ("take one job", "heartbeat", "finish"):
        found = re.search(rf"^{call} +(\d+) +(\d+) +([\d.]+) +[\d.]+ +[\d.]+ +(\d+)$", done.stdout, re.MULTILINE)
        assert found, done.stdout
        http, baseline, _, refused = found.groups()
        assert int(http) > 0 and int(baseline) > 0
        if call == "heartbeat":
            assert refused == "0", done.stdout
