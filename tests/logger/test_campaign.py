"""The fault campaign: every kind of trouble becomes one incident with its kind, verdict and culprit line within ten seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.campaign import FAULTS, Fault, Stage, stage, try_out


@pytest.fixture(scope="module")
def running(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(module_database_url, tmp_path_factory.mktemp("campaign")) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_becomes_one_incident(running: Stage, fault: Fault) -> None:
    result = try_out(running, fault)
    told = [(one["kind"], one["title"], one.get("verdict"), one["culprit_line"]) for one in result.others]
    assert result.incident is not None, f"nothing but {told}"
    assert (result.incident["verdict"], told) == (fault.verdict, []), result.incident
    if fault.value != "task":
        assert result.incident["verdict_value"] == fault.value
    for column, wanted in (("step", fault.step), ("error_class", fault.error_class)):
        assert not wanted or result.incident[column] == wanted
    assert result.is_in_time


def test_normal_work_made_no_incident(running: Stage) -> None:
    """What was there before the first fault, and what finished beside them, is nobody's trouble."""
    covered = running.database.fetch(
        """SELECT c.panda_id FROM incident_jobs c JOIN jobs_archive a USING (panda_id) WHERE a.job_status = 'finished'"""
    )
    assert covered == []
