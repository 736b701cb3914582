"""Which trace a call belongs to, without any package of OpenTelemetry: from the environment, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pandascope.traceparent import outgoing
from tests.pilot.stand_in import stand_in

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_program_that_was_started_within_a_trace_continues_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    assert outgoing() == {"traceparent": PARENT}


@pytest.mark.parametrize(
    "said", ["", "yes", PARENT + "\r\nX: y", PARENT[:-1], "00-" + "0" * 32 + PARENT[35:], PARENT.upper()]
)
def test_what_is_no_traceparent_is_not_sent(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("TRACEPARENT", said)
    assert outgoing() == {}


def test_any_loaded_package_of_that_name_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACEPARENT", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", object())
    assert outgoing() == {}


def test_a_pilot_passes_the_trace_that_it_was_started_in(tmp_path: Path) -> None:
    with stand_in() as server:
        words = ["pilot", "--queue", "LOCAL", "--requests", "1", "--scratch-min", "0", "--work-dir", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pandascope.cli.main", *words],
            env={"PATH": "/usr/bin:/bin", "PANDA_URL": server.url, "PANDA_TOKEN": "good", "TRACEPARENT": PARENT},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert set(server.traceparents) == {PARENT}
