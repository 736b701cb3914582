"""What a real pilot says while the server is away: on the node's disk first, and later in the store, in order and once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.logger.collector import eventually
from tests.pilot.stand_in import Answer, StandIn, stand_in

NOBODY = "http://127.0.0.1:9"


class Listening:
    """What a server was told by log records; what else pilots ask is answered as always."""

    def __init__(self, server: StandIn) -> None:
        self.batches: list[dict[str, Any]] = []
        self.url = server.url
        self.token = server.token

        def answer(path: str, body: dict[str, Any]) -> Answer:
            if path != "/api/logger/records":
                return StandIn.answer(server, path, body)
            self.batches.append(body)
            return 200, {"accepted": len(body["records"]), "rejected": 0, "duplicate": 0, "reasons": []}

        server.answer = answer  # type: ignore[method-assign]

    @property
    def messages(self) -> list[str]:
        return [record["message"] for batch in self.batches for record in batch["records"]]


def run_pilot(url: str, token: str, work: Path) -> tuple[int, str]:
    """A pilot that finds no job; its exit code and what it said on stderr."""
    words = ["pilot", "--queue", "LOCAL", "--wait", "0.05", "--requests", "1", "--scratch-min", "0"]
    environment = {**os.environ, "PANDA_URL": url, "PANDA_TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pandascope.cli.main", *words, "--work-dir", str(work)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def spooled(work: Path) -> list[str]:
    """The messages that wait on disk, in order."""
    files = sorted(work.glob("PanDA_Spool/pilot-*/*.ndjson"))
    return [json.loads(line)["message"] for file in files for line in file.read_text().splitlines()]


def test_a_pilot_without_a_server_leaves_its_records_to_the_next_one(tmp_path: Path) -> None:
    work = tmp_path / "work"
    code, said = run_pilot(NOBODY, "good", work)
    left = spooled(work)
    assert code == 79 and len(left) == 6 and all(message in said for message in left)
    assert "1 of 5" in left[0] and "no job after 5 requests" in left[5]
    assert (work / "PanDA_Spool").stat().st_mode & 0o777 == 0o700

    with stand_in() as server:
        store = Listening(server)
        # at its end a pilot takes two seconds for it: when the machine pauses for longer, the next one goes on
        assert eventually(lambda: run_pilot(store.url, store.token, work)[0] == 0 and not list(work.iterdir()))
        assert store.messages == left, "and what is delivered leaves nothing behind"
        assert run_pilot(store.url, store.token, work)[0] == 0
        assert store.messages == left


def test_a_pilot_whose_records_are_taken_makes_no_spool(tmp_path: Path) -> None:
    with stand_in() as server:
        store = Listening(server)
        server.answer_acquire = lambda request: (200, {"success": False, "message": "refused", "data": None})
        assert run_pilot(store.url, store.token, tmp_path)[0] == 79
        assert len(store.messages) == 6 and not list(tmp_path.iterdir())
