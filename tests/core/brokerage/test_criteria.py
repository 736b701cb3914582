"""Each criterion leaves out exactly whom it should, and the funnel says why in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.brokerage.broker import broker
from core.brokerage.candidates import AtQueue, Candidate, Request
from core.brokerage.criteria import ANALYSIS, PRODUCTION, analysis_criteria, production_criteria
from core.workload_settings import BrokerageSettings
from tests.core.brokerage.describing import ask, queue

DOCUMENT = Path(__file__).parents[3] / "docs" / "brokerage.md"
HOUR = 3600.0


@dataclass
class Case:
    """A criterion, jobs, queues that just take them, and queues that do not with what is said of each."""

    name: str
    request: Request
    fitting: list[Candidate]
    left_out: dict[str, tuple[Candidate, str]] = field(default_factory=dict)
    settings: BrokerageSettings = field(default_factory=BrokerageSettings)

    def __post_init__(self) -> None:
        for name, (candidate, _) in self.left_out.items():
            candidate.queue_name = name
        for number, candidate in enumerate(self.fitting):
            candidate.queue_name = f"FITS{number}"


def of(*facts: tuple[dict[str, object], dict[str, object], str]) -> dict[str, tuple[Candidate, str]]:
    """Queues by name, from parameters, facts and the reason."""
    return {
        f"OUT{number}": (queue(parameters=parameters, **known), reason)  # type: ignore[arg-type]
        for number, (parameters, known, reason) in enumerate(facts)
    }


REMOTE = ask(has_input=True, complete_at=frozenset({"DISK"}))
CASES = [
    Case(
        "status",
        ask(),
        [queue()],
        of(*(({}, {"status": status}, f"is {status}") for status in ("offline", "test", "brokeroff", "paused"))),
    ),
    Case("status", ask("prod_test"), [queue(), queue(status="test")], of(({}, {"status": "offline"}, "is offline"))),
    Case(
        "type",
        ask("user"),
        [queue(), queue(parameters={"type": "analysis"}), queue(parameters={"type": "unified"})],
        of(
            ({"type": "production"}, {}, "is for production, this is analysis"),
            ({"type": "special"}, {}, "is for special, this is analysis"),
        ),
    ),
    Case(
        "type",
        ask("managed"),
        [queue(parameters={"type": "production"})],
        of(({"type": "analysis"}, {}, "is for analysis, this is production")),
    ),
    Case(
        "processing",
        ask(processing_type="evgen"),
        [
            queue(),
            queue(parameters={"allowed_processing": ["evgen", "simul"]}),
            queue(parameters={"excluded_processing": "reco"}),
        ],
        of(
            ({"allowed_processing": ["simul"]}, {}, "takes only simul, this is evgen"),
            ({"catchall": "excluded_processing=evgen|reco"}, {}, "does not take evgen"),
        ),
    ),
    Case("storage", ask(), [queue()], of(({}, {"storage_endpoint": ""}, "has no storage endpoint"))),
    Case("storage", ask(), [queue()], of(({}, {"storage_is_online": False}, "its storage DISK is offline"))),
    Case(
        "nucleus",
        ask("managed", nucleus="NUC"),
        [
            queue(storage_endpoint="NUC"),
            queue(parameters={"write_wan": True}),
            queue(site_endpoints=frozenset({"DISK", "NUC"})),
        ],
        of(
            ({}, {}, "does not write to NUC, where the outputs are collected"),
            ({"write_wan": "no", "allow_wan": True}, {}, "does not write to NUC"),
        ),
    ),
    Case(
        "nucleus",
        ask("managed", nucleus="NUC", nucleus_is_online=False),
        [],
        of(({"write_wan": True}, {}, "cannot write to NUC, where the outputs are collected: it is offline")),
    ),
    Case("nucleus", ask("managed"), [queue()]),
    Case(
        "opportunistic",
        ask("managed", priority=800),
        [queue(), queue(parameters={"pledgedcpu": 100}), queue(parameters={"pledgedcpu": 0})],
        of(({"pledgedcpu": -1}, {}, "is opportunistic, jobs of priority 800 keep away")),
    ),
    Case(
        "opportunistic",
        ask("managed", priority=100, is_scout=True),
        [queue()],
        of(({"pledgedcpu": "-1"}, {}, "is opportunistic, scouts keep away")),
    ),
    Case("opportunistic", ask("managed", priority=799), [queue(parameters={"pledgedcpu": -1})]),
    Case(
        "zero_share",
        ask(processing_type="evgen", working_group="higgs"),
        [
            queue(),
            queue(parameters={"fairsharepolicy": "type=simul:0%,type=any:100%"}),
            queue(parameters={"fairsharepolicy": "type=evgen&group=susy:0%,type=evgen:30%,type=any:0%"}),
        ],
        of(
            ({"fairsharepolicy": "type=evgen:0%,type=any:100%"}, {}, "gives nothing to such work (type=evgen:0%)"),
            ({"fairsharepolicy": "group=higgs:0,type=evgen:30"}, {}, "gives nothing to such work (group=higgs:0)"),
            ({"fairsharepolicy": "priority>900:0%"}, {}, "gives nothing to such work (priority>900:0%)"),
        ),
    ),
    Case(
        "share",
        ask(gshare="MC"),
        [queue(), queue(barred_shares=frozenset({"other"}))],
        of(({}, {"barred_shares": frozenset({"MC"})}, "is of no kind that share MC runs at")),
    ),
    Case(
        "disk_io",
        ask(core_count=2, disk_io_kb_s=1000),
        [queue(), queue(parameters={"maxdiskio": 500})],
        of(({"maxdiskio": 499}, {}, "bears 499 kB/s on local disks for a core, the job makes 1000 kB/s")),
    ),
    Case(
        "max_io_intensity",
        ask(io_kb_s=150),
        [queue(), queue(parameters={"max_io_intensity": 150})],
        of(({"max_io_intensity": 149}, {}, "bears 149 kB/s of traffic, the job makes 150 kB/s")),
    ),
    Case(
        "cores",
        ask(core_count=4),
        [queue(), queue(max_core_count=4), queue(parameters={"corecount": 8, "capability": "ucore"})],
        of(
            ({}, {"max_core_count": 3}, "has slots of 3 cores, the job needs 4"),
            ({"corecount": 2}, {}, "has slots of 2 cores, the job needs 4"),
            ({}, {"max_core_count": 1}, "has slots of 1 core, the job needs 4"),
            ({"capability": "score"}, {}, "has slots of one core only, the job needs 4"),
            ({"capability": "mcore", "corecount": 8}, {}, "has whole slots of 8 cores only, the job needs 4"),
        ),
    ),
    Case(
        "release",
        ask(release="21.0.1"),
        [
            queue(),
            queue(parameters={"releases": ["20.7", "21.0.1"]}),
            queue(parameters={"releases": "ANY"}),
            queue(parameters={"releases": [{"release": "21.*"}]}),
        ],
        of(({"releases": "20.7,21.0.2"}, {}, "does not have the release 21.0.1")),
    ),
    Case(
        "architecture",
        ask(architecture="x86_64-el9-gcc13-opt"),
        [
            queue(),
            queue(parameters={"architectures": ["x86_64"]}),
            queue(parameters={"cmtconfig": "x86_64-el9-gcc13-opt"}),
        ],
        of(({"architectures": ["aarch64"]}, {}, "has aarch64, the job needs x86_64-el9-gcc13-opt")),
    ),
    Case(
        "container",
        ask(needs_container=True),
        [queue(), queue(parameters={"container_type": "apptainer:pilot"})],
        of(({"container_type": "none"}, {}, "runs no containers")),
    ),
    Case(
        "gpu",
        ask(gpu="nvidia"),
        [queue(parameters={"gpu": "nvidia,amd"}), queue(parameters={"gpus": ["any"]})],
        of(
            ({"gpu": "amd"}, {}, "has amd, the job needs nvidia"),
            ({"gpu": "none"}, {}, "has none, the job needs nvidia"),
        ),
    ),
    Case("gpu_stated", ask(gpu="nvidia"), [queue(parameters={"gpu": "nvidia"})], of(({}, {}, "states no GPU"))),
    Case(
        "memory",
        ask(min_ram_mb=4000),
        [queue(), queue(max_ram_mb=4000), queue(parameters={"maxrss": 4000})],
        of(
            ({}, {"max_ram_mb": 3999}, "allows 3999 MB, the job needs 4000 MB"),
            ({"maxrss": 16000, "corecount": 8}, {}, "allows 2000 MB, the job needs 4000 MB"),
        ),
    ),
    Case(
        "memory",
        ask("managed", min_ram_mb=4000),
        [queue(max_ram_mb=3600)],
        of(({}, {"max_ram_mb": 3599}, "allows 3599 MB, the job needs 4000 MB")),
        BrokerageSettings(production_memory_part=0.9),
    ),
    Case(
        "low_memory",
        ask(min_ram_mb=2000),
        [queue(), queue(parameters={"minrss": 2000}), queue(parameters={"minrss": 16000, "corecount": 8})],
        of(({"minrss": 2001}, {}, "is kept for jobs of 2001 MB and more, the job needs 2000 MB")),
    ),
    Case("low_memory", ask(), [queue(parameters={"minrss": 8000})]),
    Case(
        "remote_io",
        ask(has_input=True, complete_at=frozenset({"DISK"}), needs_direct_access=True),
        [queue(), queue(parameters={"direct_access_lan": True})],
        of(({"direct_access_lan": "false"}, {}, "lets no job open its input in place")),
    ),
    Case(
        "disk",
        ask(max_disk_mb=1000),
        [queue(), queue(max_disk_mb=1000), queue(parameters={"maxwdir": 1000})],
        of(
            ({}, {"max_disk_mb": 999}, "has 999 MB of scratch, the job needs 1000 MB"),
            ({"maxwdir": 4000, "corecount": 8}, {}, "has 500 MB of scratch, the job needs 1000 MB"),
        ),
    ),
    Case(
        "unknown_walltime",
        ask("managed"),
        [queue(), queue(max_walltime_s=86400)],
        of(
            ({"maxtime": 86399}, {}, "ends jobs after 86399 s, the walltime of the job is unknown and 86400 s are safe")
        ),
    ),
    Case(
        "walltime",
        ask(max_walltime_s=60),
        [queue(), queue(max_walltime_s=60), queue(parameters={"maxtime": "60"})],
        of(({}, {"max_walltime_s": 59}, "ends jobs after 59 s, the job needs 60 s")),
    ),
    Case(
        "short_walltime",
        ask(max_walltime_s=60),
        [queue(), queue(parameters={"mintime": 60})],
        of(({"mintime": 61}, {}, "is kept for jobs of 61 s and more, the job needs 60 s")),
    ),
    Case(
        "network",
        ask(network="full", ip_version="IPv6"),
        [queue(), queue(parameters={"wnconnectivity": "full#IPv4IPv6"}), queue(parameters={"wnconnectivity": "full"})],
        of(
            ({"wnconnectivity": "http#IPv6"}, {}, "has network http for payloads, the task needs full"),
            ({"wnconnectivity": "none"}, {}, "has network none for payloads, the task needs full"),
            ({"wnconnectivity": "full#IPv4"}, {}, "has IPv4 for payloads, the task needs IPv6"),
        ),
    ),
    Case(
        "input",
        REMOTE,
        [queue()],
        of(
            ({}, {"storage_endpoint": "OTHER"}, "its storage OTHER lacks input"),
            ({"direct_access_wan": True}, {"storage_endpoint": "OTHER"}, "its storage OTHER lacks input"),
        ),
    ),
    Case(
        "input",
        ask(has_input=True, complete_at=frozenset({"DISK"}), priority=2000),
        [queue(), queue(parameters={"direct_access_wan": True}, storage_endpoint="OTHER")],
        of(
            (
                *({}, {"storage_endpoint": "OTHER"}),
                "its storage OTHER lacks input, and it does not read from elsewhere",
            ),
        ),
    ),
    Case(
        "io",
        ask("managed", has_input=True, complete_at=frozenset({"DISK"}), io_kb_s=201, priority=2000),
        [queue()],
        of(
            (
                *({"allow_wan": True}, {"storage_endpoint": "OTHER"}),
                "its storage OTHER lacks input of a task that moves 201 kB/s",
            ),
        ),
    ),
    Case(
        "inactive",
        ask("managed", priority=800),
        [
            queue(),
            queue(activated=5, job_age_s=2 * HOUR, oldest_activated_s=9 * HOUR),
            queue(activated=5, job_age_s=9 * HOUR, oldest_activated_s=2 * HOUR),
        ],
        of(
            (
                *({}, {"activated": 5, "job_age_s": 2.5 * HOUR, "oldest_activated_s": 9 * HOUR}),
                "started no job for 2.5 h, with 5 waiting",
            ),
        ),
    ),
    Case("inactive", ask("managed", priority=799), [queue(job_age_s=9 * HOUR, oldest_activated_s=9 * HOUR)]),
    Case(
        "space",
        ask(),
        [queue(), queue(free_storage_mb=200_000)],
        of(({}, {"free_storage_mb": 199_999}, "its storage DISK has 199999 MB left, 200000 MB must stay free")),
    ),
    Case(
        "transferring",
        ask("managed"),
        [queue(transferring=2000), queue(transferring=4000, running=2000)],
        of(
            ({}, {"transferring": 2001}, "has 2001 jobs whose outputs are on their way, 2000 are the limit"),
            (
                {"transferringlimit": 50},
                {"transferring": 61, "running": 30},
                "has 61 jobs whose outputs are on their way",
            ),
        ),
    ),
    Case(
        "nopilot",
        ask(),
        [
            queue(),
            queue(pilot_age_s=None, activated=1, oldest_activated_s=9 * HOUR),
            queue(pilot_age_s=9 * HOUR),
            queue(pilot_age_s=9 * HOUR, activated=1, oldest_activated_s=3 * HOUR),
            queue(parameters={"catchall": "allow_no_pilot"}, pilot_age_s=9 * HOUR, oldest_activated_s=9 * HOUR),
        ],
        of(
            (
                *({}, {"pilot_age_s": 3.5 * HOUR, "activated": 2, "oldest_activated_s": 9 * HOUR}),
                "saw no pilot for 3.5 h, with 2 jobs waiting",
            ),
        ),
    ),
    Case(
        "over_pledged",
        ask("managed", priority=100),
        [queue(), queue(parameters={"pledgedcpu": 100}, running_cores=100)],
        of(
            ({"pledgedcpu": 100}, {"running_cores": 101}, "runs 101 cores, its pledge is 100, and work is short"),
            ({"pledgedcpu": -1}, {}, "has no pledge, and work is short"),
        ),
        BrokerageSettings(work_shortage=True),
    ),
    Case(
        "cap",
        ask("managed", resource_type="MCORE"),
        [queue(activated=2000), queue(activated=4000, running=2000)],
        of(
            ({}, {"activated": 2001}, "has 2001 jobs queued and 0 running, 2000 may be queued"),
            (
                *({}, {"activated": 2500, "running": 5000, "by_resource_type": {"MCORE": (2100, 30)}}),
                "has 2100 jobs of MCORE queued and 30 running, 2000 may be queued",
            ),
        ),
    ),
    Case(
        "closed",
        ask(at_queues={"OUT0": AtQueue(5, 20), "FITS0": AtQueue(0, 19), "FITS1": AtQueue(11, 21)}),
        [queue(), queue(), queue()],
        of(({}, {}, "lost 20 jobs of this task in the last 12 h (failed or closed) and finished 5")),
    ),
    Case(
        "overloaded",
        ask(),
        [queue(activated=40), queue(activated=60, running=30)],
        of(({}, {"activated": 61, "running": 30}, "has 61 jobs queued and 30 running, 60 may be queued")),
    ),
    Case(
        "user_queue",
        # at OUT0 the limit is the largest of 100, 2 x 10 and 2000 x max(10/1000, 1/4)
        ask(
            at_queues={"OUT0": AtQueue(0, 0, 501, 10), "FITS0": AtQueue(0, 0, 500, 10), "FITS1": AtQueue(0, 0, 900, 0)}
        ),
        [queue(running=1000, activated=1500, user_count=4), queue(running=1000, activated=999, user_count=4), queue()],
        of(
            (
                *({}, {"running": 1000, "activated": 1500, "user_count": 4}),
                "has 501 jobs of alice queued, 500 are this user's part of 2000",
            ),
        ),
    ),
    Case(
        "user_queue",
        # everything would start within two hours at the rate of the last six: nobody's part is looked at
        ask(at_queues={"FITS0": AtQueue(0, 0, 1500, 0)}),
        [queue(running=1000, activated=1500, user_count=4, started_lately=4500)],
    ),
    Case(
        "included",
        ask(included=("FITS*",)),
        [queue()],
        of(({}, {}, "is not among includedSite")),
    ),
    Case("excluded", ask(excluded=("OUT?",)), [queue()], of(({}, {}, "is among excludedSite"))),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{number}" for number, case in enumerate(CASES)])
def test_a_criterion_leaves_out_exactly_whom_it_should(case: Case):
    criteria = (analysis_criteria if case.request.kind == "analysis" else production_criteria)(case.settings)
    candidates = [*(candidate for candidate, _ in case.left_out.values()), *case.fitting]
    decision = broker(case.request, candidates, criteria)
    assert {queue.queue_name for queue in decision.accepted} == {queue.queue_name for queue in case.fitting}
    said = {entry["queue"]: (step.criterion, entry["reason"]) for step in decision.steps for entry in step.excluded}
    assert set(said) == set(case.left_out)
    for name, (_, reason) in case.left_out.items():
        assert said[name][0] == case.name
        assert said[name][1].startswith(reason)


def test_every_criterion_has_a_case_and_says_what_it_asks():
    criteria = [*PRODUCTION, *ANALYSIS]
    assert {case.name for case in CASES} == {criterion.name for criterion in criteria}
    assert all(criterion.sentence and criterion.__doc__ for criterion in criteria)
    for names in ([one.name for one in PRODUCTION], [one.name for one in ANALYSIS]):
        assert len(names) == len(set(names))


def test_the_document_has_a_row_for_each_criterion_with_its_sentence():
    text = DOCUMENT.read_text()
    for criterion in [*PRODUCTION, *ANALYSIS]:
        assert f"| `{criterion.name}` | {criterion.sentence} |" in text


def test_persistent_reasons_come_before_temporary_ones():
    for criteria in (PRODUCTION, ANALYSIS):
        temporary = [criterion.is_temporary for criterion in criteria]
        assert temporary == sorted(temporary)


def test_a_queue_that_states_nothing_takes_anything():
    greedy = ask(core_count=1000, min_ram_mb=10**9, max_disk_mb=10**9, max_walltime_s=10**9, release="X")
    assert broker(greedy, [queue()]).accepted
    assert broker(ask("managed", core_count=1000, architecture="none", network="full"), [queue()]).accepted
