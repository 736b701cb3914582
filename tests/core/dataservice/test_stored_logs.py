"""Logs that only the archive holds are kept with the verdict, and never more than that is read."""

from __future__ import annotations

import pytest

from core.database import Database
from core.queues import set_endpoint
from tests.core.dataservice.test_log_archive import archive
from tests.support.builders import add_up, make_queue, outputs_of, report, start, stored


@pytest.fixture(scope="module")
def disk(shared_database: Database, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("disk")
    make_queue(shared_database)
    set_endpoint(shared_database, "Q_DISK", mover="cp", path=str(path))
    return path


def end(database: Database, pfn: str, **logs: str) -> dict[str, str]:
    """The kept logs of a job that failed with its log archive at `pfn`."""
    (panda_id,) = start(database)
    (log,) = outputs_of(database, panda_id)
    output_report = stored([log], surl=pfn)
    report(database, panda_id, "failed", pilot_error_code=1305, output_report=output_report, logs=logs)
    add_up(database)
    rows = database.fetch("SELECT name, text FROM job_logs WHERE panda_id = %(id)s", {"id": panda_id})
    return {row["name"]: row["text"] for row in rows}


def test_the_logs_come_out_of_the_archive(shared_database, disk):
    pfn = archive(disk / "a.tgz", {"top/payload.stderr": b"boom\x00\n", "top/pilotlog.txt": b"log\n"})
    assert end(shared_database, f"file://localhost{pfn}") == {"payload.stderr": "boom\n", "pilot.log": "log\n"}


def test_what_the_pilot_sent_itself_stays(shared_database, disk):
    pfn = archive(disk / "b.tgz", {"payload.stderr": b"other\n"})
    assert end(shared_database, pfn, **{"payload.stderr": "mine\n"}) == {"payload.stderr": "mine\n"}


def test_nothing_outside_the_endpoint_is_opened(shared_database, disk, tmp_path):
    outside = archive(tmp_path / "c.tgz", {"payload.stderr": b"secret\n"})
    assert end(shared_database, outside) == {}
    assert end(shared_database, f"{disk}/../{tmp_path.name}/c.tgz") == {}


def test_an_archive_that_is_not_there_does_not_stop_the_job(shared_database, disk):
    assert end(shared_database, str(disk / "gone.tgz")) == {}
