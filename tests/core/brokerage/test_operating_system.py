"""osMatching: jobs go where the nodes have the operating system of whoever submitted them, as far as queues say."""

from __future__ import annotations

import pytest

from core.brokerage.operating_system import platforms_of
from core.brokerage.requests import read_wishes
from core.database import Database
from tests.core.taskengine.submitting import accept, captured, place, row_of_task
from tests.support.builders import jobs_of_task, make_queue, row_of

EL9 = "Linux-5.14.0-427.el9.x86_64-x86_64-with-glibc2.34"
UBUNTU = "Linux-6.5.0-41-generic-x86_64-with-glibc2.35"


@pytest.mark.parametrize(
    ("os_info", "platforms"),
    [
        (EL9, "x86_64-el9-*"),
        ("Linux-4.18.0-553.16.1.el8_10.aarch64-aarch64-with-glibc2.28", "aarch64-el8-*"),
        ("Linux-3.10.0-1160.el7.x86_64-x86_64-with-centos-7.9.2009-Core", "x86_64-el7-*|x86_64-centos7-*"),
        ("AlmaLinux-9.4", "*-el9-*"),
        ("Ubuntu-22.04-x86_64", "x86_64-ubuntu22-*"),
        (UBUNTU, ""),
        ("Linux-test", ""),
        ("", ""),
        (None, ""),
        (["el9"], ""),
        ("wheel9x el99999", ""),
        ("el9" * 10**6, ""),
    ],
)
def test_what_a_client_says_of_its_machine_becomes_a_platform(os_info, platforms):
    assert platforms_of(os_info) == platforms


def test_it_counts_where_it_is_asked_for_and_nothing_else_says_the_platform():
    assert read_wishes({"osInfo": EL9}).architecture == ""
    assert read_wishes({"osInfo": EL9, "osMatching": True}).architecture == "x86_64-el9-*"
    stated = {"osInfo": EL9, "osMatching": True, "architecture": "aarch64-el9-gcc13-opt"}
    assert read_wishes(stated).architecture == "aarch64-el9-gcc13-opt"
    assert read_wishes({"osInfo": EL9, "osMatching": True, "container_name": "docker://x"}).architecture == ""


def test_jobs_go_where_the_operating_system_is_theirs(database: Database):
    for name, platform in (
        ("A", "x86_64-centos7-gcc11-opt"),
        ("B", "x86_64-el9-gcc13-opt"),
        ("C", "aarch64-el9-gcc13-opt"),
    ):
        make_queue(database, name, parameters={"cmtconfig": platform})
    task_id = accept(database, captured("njobs", osInfo=EL9, osMatching=True))
    place(database)
    assert {row_of(database, job)["computing_site"] for job in jobs_of_task(database, task_id)} == {"B"}
    assert row_of_task(database, task_id)["error_dialog"] == ""


def test_queues_that_say_nothing_take_everything(database: Database):
    make_queue(database, "A")
    task_id = accept(database, captured("njobs", osInfo=EL9, osMatching=True))
    place(database)
    assert {row_of(database, job)["computing_site"] for job in jobs_of_task(database, task_id)} == {"A"}
