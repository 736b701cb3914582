"""The benchmark of the pilots' calls runs: what it measures is for people to judge, that it measures is for us."""

from __future__ import annotations

import re
import subprocess
import sys


def test_every_hot_call_is_measured_beside_its_own_statement_and_none_is_refused() -> None:
    words = "--jobs 6000 --task-jobs 100 --seconds 1 --rounds 1 --clients 4"
    command = [sys.executable, "-m", "bench", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    for call in ("take one job", "heartbeat", "finish", "getJob", "updateJob"):
        found = re.search(rf"^{call} +(\d+) +(\d+) +([\d.]+) +[\d.]+ +[\d.]+ +(\d+)$", done.stdout, re.MULTILINE)
        assert found, done.stdout
        http, baseline, _, refused = found.groups()
        assert int(http) > 0 and int(baseline) > 0
        if call in ("heartbeat", "updateJob"):
            assert refused == "0", done.stdout
    for kind in ("submit files", "submit pseudo"):
        found = re.search(rf"^{kind} +(\d+) +(\d+) +[\d.]+ +[\d.]+$", done.stdout, re.MULTILINE)
        assert found and int(found[1]) > 0 and int(found[2]) > 0, done.stdout
