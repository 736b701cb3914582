"""How a stranger gets in: three lines of configuration, curl, `panda logd`; each to the real API and its tables."""

from __future__ import annotations

import logging.handlers
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import logger.handler
from tests.logger.collector import eventually as wait
from tests.support.system import RunningSystem, eventually, running_system

ROOT = Path(__file__).parents[3]

PROGRAM = """
import logging.config
logging.config.dictConfig({"version": 1,
    "handlers": {"panda": {"class": "logger.handler.PandaHandler", "url": URL, "token": "file:token", "spool": "spool",
                           "close_timeout_s": 20}},
    "root": {"handlers": ["panda"], "level": "INFO"}})
logging.getLogger("tapes").error("tape %d cannot be read", 7, extra={"computing_site": "T17_CERN", "shelf": 3})
"""


@pytest.fixture
def system(database_url: str, short_directory: Path) -> Iterator[RunningSystem]:
    with running_system(database_url, short_directory, agents=False) as running:
        yield running


def stored(system: RunningSystem, component: str) -> list[Any]:
    query = "SELECT * FROM log_records WHERE component = %(component)s ORDER BY received_time, message"
    return list(system.database.fetch(query, {"component": component}))


def test_every_way_in_ends_in_the_same_table(system: RunningSystem, tmp_path: Path) -> None:
    (tmp_path / "logger").mkdir()
    for name in ("__init__", "handler", "tracebacks", "shipping", "delivery", "spool", "spools"):
        shutil.copy(Path(logger.handler.__file__).with_name(f"{name}.py"), tmp_path / "logger")
    (tmp_path / "token").write_text(system.token("ann") + "\n")

    # three lines in a bare interpreter that has nothing of ours but these files
    program = PROGRAM.replace("URL", repr(system.url))
    run = [sys.executable, "-S", "-c", program]
    done = subprocess.run(
        run, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, timeout=60, check=True
    )
    assert done.stderr == b"" and not (tmp_path / "spool").exists()
    (record,) = stored(system, "tapes")
    assert (record["message"], record["computing_site"], record["fields"]) == (
        *("tape 7 cannot be read", "T17_CERN"),
        {"shelf": 3},
    )
    assert record["incident_id"] is not None and record["emitter"] == "ann"

    # one line by HTTP, as curl would send it
    client = system.client("ann")
    answer = client.post(
        "/api/logger/records?component=backup&level=ERROR",
        content=b"tape 8 cannot be read\n",
        headers={"Content-Type": "text/plain"},
    )
    assert answer.json()["accepted"] == 1
    assert stored(system, "backup")[0]["level"] == "ERROR"

    # syslog, from a program that knows nothing of us
    command = [
        "-m",
        "pandascope.cli.main",
        "logd",
        "--socket",
        str(tmp_path / "log"),
        "--spool",
        str(tmp_path / "spool"),
    ]
    given = ["--url", system.url, "--token-file", str(tmp_path / "token")]
    with subprocess.Popen(
        [sys.executable, "-P", *command, *given], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as logd:
        assert logd.stderr is not None and "listening on unix" in logd.stderr.readline()
        handler = logging.handlers.SysLogHandler(str(tmp_path / "log"))
        handler.ident = "robot: "
        log = logging.Logger("alone")
        log.addHandler(handler)
        log.error("arm %d is stuck", 2)
        handler.close()
        (record,) = eventually(lambda: stored(system, "robot"))
        assert (record["level"], record["message"]) == ("ERROR", "arm 2 is stuck")
        assert record["fields"] == {"relay_peer": "local"}
        logd.send_signal(signal.SIGTERM)
        assert logd.wait(60) == 0


def test_what_a_killed_process_left_and_had_sent_already_is_stored_once(system: RunningSystem, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    program = """
import logging, os, sys
from logger.handler import PandaHandler
handler = PandaHandler("http://127.0.0.1:9", component="t17_killed", spool="spool", close_timeout_s=0.2)
logging.getLogger().addHandler(handler)
for number in range(900):
    logging.warning("number %d", number)
handler.flush()
while handler.waiting:
    pass
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    shutil.copytree(tmp_path / "spool", kept)
    for spool in (
        tmp_path / "spool",
        kept,
    ):  # the second: as if the note of what was sent had been lost with the machine
        handler = logger.handler.PandaHandler(system.url, system.token("ann"), "t17_killed", spool=spool)
        assert wait(lambda: handler.sent == 900 and handler.spooled == 0)  # noqa: B023 - called here and now
        handler.close()
        assert handler.dropped == 0 and not list(spool.iterdir())
    messages = [record["message"] for record in stored(system, "t17_killed")]
    total = sum(record["repeat_count"] for record in stored(system, "t17_killed"))
    assert total == 900 and len(messages) == len(set(messages))
