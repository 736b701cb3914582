"""Odd things that operators and submitters write, criterion by criterion: what comes of each was worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.brokerage.broker import broker
from core.brokerage.candidates import AtQueue, Request
from core.brokerage.criteria import analysis_criteria, production_criteria
from core.workload_settings import BrokerageSettings
from tests.core.brokerage.describing import CRIC, ask, queue, task

HOUR = 3600.0
EXCLUSIVE = [{"type": "gpu", "vendor": ["nvidia", "excl"]}]


def local(**needs: Any) -> Request:
    return ask(has_input=True, complete_at=frozenset({"DISK"}), **needs)


# criterion, request, what the queue states, its facts, what is said of it (None: it is taken)
Odd = tuple[str, Request, dict[str, Any], dict[str, Any], str | None]
CASES: list[Odd] = [
    # patterns and names: brackets are characters, unicode is a name as any other
    ("included", ask(included=("Ä*",)), {}, {"queue_name": "ÄTNA_科学"}, None),
    ("included", ask(included=("Q[1]",)), {}, {"queue_name": "Q[1]"}, None),
    ("included", ask(included=("Q[1]",)), {}, {"queue_name": "Q1"}, "is not among includedSite"),
    ("included", ask(included=("q1",)), {}, {"queue_name": "Q1"}, "is not among includedSite"),
    ("included", task(includedSite=["A, B", "C"]), {}, {"queue_name": "B"}, None),
    ("included", task(includedSite="A,,"), {}, {"queue_name": "B"}, "is not among includedSite"),
    ("included", task(includedSite=[7, None, ""]), {}, {"queue_name": "B"}, None),
    ("excluded", task(excludedSite="*"), {}, {"queue_name": "ANY"}, "is among excludedSite"),
    ("excluded", task(excludedSite=["?[a-z]"]), {}, {"queue_name": "Qa"}, None),
    ("excluded", task(excludedSite={"A": 1}), {}, {"queue_name": "A"}, None),
    # both lists name it: what is unwanted is unwanted
    ("excluded", task(includedSite=["A"], excludedSite=["A"]), {}, {"queue_name": "A"}, "is among excludedSite"),
    ("status", ask("ptest"), {}, {"status": "test"}, None),
    ("status", ask("rc_test2"), {}, {"status": "brokeroff"}, "is brokeroff"),
    ("type", ask("panda"), {"type": " Production "}, {}, "is for production, this is analysis"),
    ("type", ask("install"), {"type": "analysis"}, {}, "is for analysis, this is production"),
    ("type", ask("prod_test"), {"type": "special"}, {}, None),
    ("storage", ask(), {}, {"storage_endpoint": "", "storage_is_online": True}, "has no storage endpoint"),
    ("nucleus", ask("managed", nucleus="NUC"), {"write_wan": "1"}, {}, None),
    ("nucleus", ask("managed", nucleus="NUC"), {"write_wan": "maybe"}, {}, "does not write to NUC"),
    ("nucleus", ask("managed", nucleus="NUC"), {"catchall": "write_wan"}, {}, None),
    # a user's jobs collect nothing
    ("nucleus", ask("user", nucleus="NUC"), {}, {}, None),
    (
        "opportunistic",
        ask("managed", priority=799, is_scout=True),
        {"pledgedcpu": "-1.0"},
        {},
        "is opportunistic, scouts",
    ),
    ("opportunistic", ask("managed", priority=10**9), {"pledgedcpu": "-2"}, {}, None),
    ("opportunistic", ask("user", priority=10**9), {"pledgedcpu": -1}, {}, None),
    # fairsharepolicy: comparisons, alternatives, the first part that matches
    (
        "zero_share",
        ask(priority=500),
        {"fairsharepolicy": "priority==500:0"},
        {},
        "gives nothing to such work (priority==500:0)",
    ),
    (
        "zero_share",
        ask(priority=500),
        {"fairsharepolicy": "priority=500:0%"},
        {},
        "gives nothing to such work (priority=500:0%)",
    ),
    ("zero_share", ask(priority=501), {"fairsharepolicy": "priority!=500:0%"}, {}, "gives nothing"),
    ("zero_share", ask(priority=500), {"fairsharepolicy": "priority!=500:0%"}, {}, None),
    ("zero_share", ask(priority=500), {"fairsharepolicy": "priority>500:0,priority<500:0"}, {}, None),
    ("zero_share", ask(priority=-5), {"fairsharepolicy": "Priority<=-5:0"}, {}, "gives nothing"),
    (
        "zero_share",
        ask(working_group="AP_Susy"),
        {"fairsharepolicy": "group=(AP_Higgs|AP_Susy):0%"},
        {},
        "gives nothing",
    ),
    ("zero_share", ask(working_group="AP_Top"), {"fairsharepolicy": "group=(AP_Higgs|AP_Susy):0%"}, {}, None),
    ("zero_share", ask(gshare="Express Analysis"), {"fairsharepolicy": "gshare=Express.*:0 %"}, {}, "gives nothing"),
    ("zero_share", ask(gshare="express"), {"fairsharepolicy": "gshare=Express:100%,gshare=any:0%"}, {}, None),
    ("zero_share", ask(processing_type="rc_alrb"), {"fairsharepolicy": "type=test:0%"}, {}, "gives nothing"),
    ("zero_share", ask(processing_type="testing"), {"fairsharepolicy": "type=test:0%"}, {}, None),
    ("zero_share", ask(processing_type="a[b"), {"fairsharepolicy": "type=a[b:0,(:0,type=)(:0"}, {}, "gives nothing"),
    ("zero_share", ask(), {"fairsharepolicy": ",,type=any:-3%"}, {}, "gives nothing"),
    ("zero_share", ask(), {"fairsharepolicy": "type=any:0.5%"}, {}, None),
    ("share", ask(gshare=""), {}, {"barred_shares": frozenset({""})}, "is of no kind"),
    ("share", ask(gshare="a"), {}, {"barred_shares": frozenset({"A"})}, None),
    # rates: of all cores together; limits below 1 are limits
    ("disk_io", ask(core_count=8, disk_io_kb_s=4000), {"maxdiskio": "500"}, {}, None),
    (
        "disk_io",
        ask(core_count=8, disk_io_kb_s=4001),
        {"maxDiskIO": 500},
        {},
        "bears 500 kB/s on local disks for a core, the job makes 4001 kB/s with 8 cores",
    ),
    (
        "disk_io",
        ask(disk_io_kb_s=1),
        {"maxdiskio": 0.25},
        {},
        "bears 0.25 kB/s on local disks for a core, the job makes 1 kB/s",
    ),
    ("disk_io", ask(disk_io_kb_s=10**11), {"maxdiskio": -1}, {}, None),
    ("max_io_intensity", task(ioIntensity=2, ioIntensityUnit="MBPerS"), {"max_io_intensity": 2000}, {}, None),
    (
        "max_io_intensity",
        task(ioIntensity=2.001, ioIntensityUnit="MBPerS"),
        {"max_io_intensity": 2000},
        {},
        "bears 2000 kB/s of traffic, the job makes 2001 kB/s",
    ),
    ("max_io_intensity", ask(io_kb_s=10**7), {"max_io_intensity": 1234567.5}, {}, "bears 1234567.5 kB/s of traffic"),
    ("max_io_intensity", task(ioIntensity="5000"), {"max_io_intensity": 1}, {}, None),
    # cores: 0 stands for one, a corecount of 0 for nothing
    ("cores", ask(core_count=0), {"capability": "score", "corecount": 1}, {}, None),
    (
        "cores",
        ask(core_count=0),
        {"capability": "mcore", "corecount": 8},
        {},
        "has whole slots of 8 cores only, the job needs 1",
    ),
    ("cores", ask(core_count=9), {"capability": "mcore", "corecount": 8}, {}, "has slots of 8 cores, the job needs 9"),
    ("cores", ask(core_count=8), {"capability": "MCORE", "corecount": "8"}, {}, None),
    ("cores", ask(core_count=64), {"corecount": 0}, {"max_core_count": 0}, None),
    ("cores", ask(core_count=64), {"corecount": -8, "capability": "mcore"}, {}, None),
    ("cores", ask(core_count=4), {"corecount": 8, "capability": "ucore"}, {}, None),
    ("cores", ask(core_count=9), {"corecount": 8, "capability": "ucore"}, {}, "has slots of 8 cores, the job needs 9"),
    # the column of the queue holds, whatever is stated beside it
    ("cores", ask(core_count=16), {"corecount": 8}, {"max_core_count": 16}, None),
    ("release", task(transHome="A-1"), {"releases": "AUTO"}, {}, None),
    ("release", task(transUses="A-1", transHome="B-1"), {"releases": ["B-1"]}, {}, "does not have the release A-1"),
    ("release", task(transUses="A-1", container_name="img"), {"releases": ["B-1"]}, {}, None),
    ("release", task(transUses="A-1.0"), {"releases": "B-1|A-1.*"}, {}, None),
    # platforms and processors
    ("architecture", task(architecture="x86_64-el9-gcc13-opt"), {"architectures": CRIC}, {}, None),
    (
        "architecture",
        task(architecture="aarch64-el9-gcc13-opt"),
        {"architectures": CRIC},
        {},
        "has x86_64, the job needs aarch64-el9-gcc13-opt",
    ),
    ("architecture", task(architecture="x86_64-el9-gcc13-opt@el9#aarch64"), {"architectures": CRIC}, {}, "has x86_64"),
    ("architecture", task(architecture="#x86_64"), {"cmtconfig": "x86_64-centos7-gcc8-opt"}, {}, None),
    ("architecture", task(architecture="#x86_64-intel-avx2"), {"cmtconfig": "x86_64-centos7-gcc8-opt"}, {}, None),
    (
        "architecture",
        task(architecture="#x86_64-intel-avx2"),
        {"architectures": "x86_64-amd"},
        {},
        "has x86_64-amd, the job",
    ),
    ("architecture", task(architecture="x86_64-centos7-gcc8-opt"), {"architectures": "x86_64-amd-avx2"}, {}, None),
    (
        "architecture",
        task(architecture="x86_64-el9-*"),
        {"cmtconfig": "x86_64-slc6-gcc62-opt"},
        {},
        "has x86_64-slc6-gcc62-opt",
    ),
    ("architecture", task(architecture="x86_64-*-gcc62-opt"), {"cmtconfig": "x86_64-slc6-gcc62-opt"}, {}, None),
    ("architecture", task(architecture="#(x86_64|aarch64)"), {"architectures": ["aarch64"]}, {}, None),
    ("architecture", task(architecture="#(x86_64|aarch64)-*"), {"architectures": ["ppc64le"]}, {}, "has ppc64le"),
    ("architecture", task(architecture="&nvidia"), {"architectures": ["aarch64"], "gpu": "nvidia"}, {}, None),
    ("architecture", task(architecture="@el9"), {"architectures": ["aarch64"]}, {}, None),
    ("container", task(container_name="docker://a"), {"container_type": "None:wrapper"}, {}, "runs no containers"),
    ("container", task(container_name="docker://a"), {"container_type": "none,apptainer:pilot"}, {}, None),
    ("gpu", task(architecture="x86_64&nvidia-A100"), {"architectures": CRIC}, {}, None),
    ("gpu", task(architecture="x86_64&nvidia"), {"architectures": CRIC}, {}, None),
    (
        "gpu",
        task(architecture="x86_64&nvidia-h100"),
        {"architectures": CRIC},
        {},
        "has nvidia-a100, nvidia-kt100, the job needs nvidia-h100",
    ),
    ("gpu", task(architecture="&NVIDIA-a100"), {"gpu": "nvidia"}, {}, None),
    ("gpu", task(architecture="&any"), {"gpu": False}, {}, "has none, the job needs any"),
    ("gpu", task(architecture="&amd"), {"gpus": 4}, {}, None),
    ("gpu", task(architecture="&amd"), {"gpus": 0}, {}, "has none, the job needs amd"),
    ("gpu", ask(), {"architectures": EXCLUSIVE}, {}, "is kept for jobs that need nvidia"),
    ("gpu", task(architecture="&nvidia-a100"), {"architectures": EXCLUSIVE}, {}, None),
    ("gpu", ask(), {"architectures": CRIC}, {}, None),
    # memory and scratch of a slot are shared out by cores, whole MB, and exactly met is met
    ("memory", ask(core_count=1, min_ram_mb=1000), {"maxrss": 49_000, "corecount": 49}, {}, None),
    (
        "memory",
        ask(core_count=1, min_ram_mb=1001),
        {"maxrss": "49000", "corecount": "49"},
        {},
        "allows 1000 MB, the job needs 1001 MB",
    ),
    ("memory", ask(core_count=31, min_ram_mb=31_000), {"maxrss": 103_000, "corecount": 103}, {}, None),
    ("memory", ask(core_count=0, min_ram_mb=2000), {"maxrss": 16_000, "corecount": 8}, {}, None),
    ("memory", ask(min_ram_mb=2), {"maxrss": 5, "corecount": 8}, {}, "allows 1 MB, the job needs 2 MB"),
    ("memory", ask(min_ram_mb=4000), {"maxrss": 16_000, "corecount": 8}, {"max_ram_mb": 4000}, None),
    ("memory", ask(min_ram_mb=10**12), {"maxrss": "-1"}, {}, None),
    ("memory", ask(min_ram_mb=8001), {"memory": "8000"}, {}, "allows 8000 MB, the job needs 8001 MB"),
    ("memory", ask(min_ram_mb=8001), {"maxrss": "8e3"}, {}, "allows 8000 MB"),
    ("memory", ask(min_ram_mb=8001), {"maxrss": "8000 MB"}, {}, None),
    ("memory", ask(min_ram_mb=8001), {"maxrss": {"value": 8000}}, {}, None),
    ("low_memory", ask(core_count=1, min_ram_mb=2000), {"minrss": 16_000, "corecount": 8}, {}, None),
    (
        "low_memory",
        ask(core_count=8, min_ram_mb=15_999),
        {"minrss": "16000", "corecount": 8},
        {},
        "is kept for jobs of 16000 MB",
    ),
    ("low_memory", ask(min_ram_mb=1), {"minrss": 0}, {}, None),
    ("remote_io", local(needs_direct_access=True), {"direct_access_lan": 0}, {}, "lets no job open its input in place"),
    ("remote_io", ask(needs_direct_access=True), {"direct_access_lan": "no"}, {}, None),
    ("remote_io", local(needs_direct_access=False), {"direct_access_lan": False}, {}, None),
    ("disk", ask(core_count=3, max_disk_mb=3000), {"maxwdir": "7000", "corecount": 7}, {}, None),
    (
        "disk",
        ask(core_count=3, max_disk_mb=3001),
        {"maxwdir": 7000, "corecount": 7},
        {},
        "has 3000 MB of scratch, the job needs 3001 MB",
    ),
    ("disk", ask(core_count=9, max_disk_mb=7000), {"maxwdir": 7000}, {}, None),
    ("walltime", ask(max_walltime_s=10**9), {"maxtime": 0}, {}, None),
    (
        "walltime",
        ask(max_walltime_s=61),
        {"maxtime": 1000},
        {"max_walltime_s": 60},
        "ends jobs after 60 s, the job needs 61 s",
    ),
    (
        "unknown_walltime",
        ask("managed"),
        {"maxtime": 1},
        {},
        "ends jobs after 1 s, the walltime of the job is unknown and 86400 s",
    ),
    ("unknown_walltime", ask("managed", max_walltime_s=1), {"maxtime": 1}, {}, None),
    ("short_walltime", ask(max_walltime_s=0), {"mintime": 10**6}, {}, None),
    ("short_walltime", ask(max_walltime_s=1), {"mintime": "1.9"}, {}, None),
    # the network of the nodes
    (
        "network",
        task(ipConnectivity="full # ipv6"),
        {"wnconnectivity": "FULL#IPv4"},
        {},
        "has IPv4 for payloads, the task needs IPv6",
    ),
    ("network", task(ipConnectivity="#IPv6"), {"wnconnectivity": "none#IPv4&IPv6"}, {}, None),
    ("network", task(ipConnectivity="http"), {"wnconnectivity": "full"}, {}, None),
    (
        "network",
        task(ipConnectivity=" http "),
        {"wnconnectivity": "none#IPv6"},
        {},
        "has network none for payloads, the task needs http",
    ),
    ("network", task(ipConnectivity="none"), {"wnconnectivity": "none"}, {}, None),
    ("network", task(ipConnectivity="full"), {"wnconnectivity": "#IPv6"}, {}, None),
    ("network", task(ipConnectivity=["full"]), {"wnconnectivity": "none"}, {}, None),
    ("processing", ask(processing_type=""), {"allowed_processing": "a"}, {}, "takes only a, this is of no type"),
    (
        "processing",
        ask(processing_type="a"),
        {"allowed_processing": ["a"], "excluded_processing": "a"},
        {},
        "does not take a",
    ),
    ("processing", ask(processing_type="a"), {"catchall": "useX, allowed_processing = a|b ,y"}, {}, None),
    # input
    (
        "input",
        replace(local(priority=1999), prod_source_label="managed"),
        {"allow_wan": True},
        {"storage_endpoint": "FAR"},
        "its storage FAR lacks input",
    ),
    ("input", local(priority=2000), {"allow_wan": "yes"}, {"storage_endpoint": "FAR"}, None),
    (
        "input",
        local(priority=2000, allows_wan=False),
        {"allow_wan": 1},
        {"storage_endpoint": "FAR"},
        "its storage FAR lacks input, and the task must not read from elsewhere",
    ),
    (
        "input",
        local(priority=2000, is_everywhere=False),
        {"allow_wan": 1},
        {"storage_endpoint": "FAR"},
        "its storage FAR lacks input, and some of it is nowhere",
    ),
    (
        "io",
        replace(local(io_kb_s=200), prod_source_label="managed", priority=2000),
        {"allow_wan": 1},
        {"storage_endpoint": "FAR"},
        None,
    ),
    ("io", ask("managed", io_kb_s=10**9), {}, {"storage_endpoint": "FAR"}, None),
    # silence proves nothing where nothing waits
    (
        "inactive",
        ask("managed", is_merge=True),
        {},
        {"activated": 1, "job_age_s": 7201.0, "oldest_activated_s": 7201.0},
        "started no job for 2.0 h, with 1 waiting",
    ),
    (
        "inactive",
        ask("managed", priority=800),
        {},
        {"activated": 1, "job_age_s": 7200.0, "oldest_activated_s": 1e9},
        None,
    ),
    ("inactive", ask("managed", priority=800), {}, {"job_age_s": 1e9}, None),
    (
        "nopilot",
        ask(),
        {"allow_no_pilot": "False"},
        {"activated": 1, "pilot_age_s": 4 * HOUR, "oldest_activated_s": 4 * HOUR},
        "saw no pilot for 4.0 h, with 1 job waiting",
    ),
    ("nopilot", ask(), {}, {"activated": 1, "pilot_age_s": 1e9, "oldest_activated_s": 10800.0}, None),
    ("space", ask(), {}, {"free_storage_mb": 0}, "its storage DISK has 0 MB left, 200000 MB must stay free"),
    ("space", ask(), {}, {"free_storage_mb": 10**15}, None),
    (
        "transferring",
        ask("managed"),
        {"transferringlimit": "1"},
        {"transferring": 2},
        "has 2 jobs whose outputs are on their way, 1 is the limit",
    ),
    ("transferring", ask("managed"), {"transferringlimit": 1}, {"transferring": 2, "running": 1}, None),
    (
        "cap",
        ask("managed", resource_type="MCORE"),
        {},
        {"activated": 1999, "by_resource_type": {"SCORE": (9999, 0)}},
        None,
    ),
    (
        "cap",
        ask("managed", resource_type="MCORE"),
        {},
        {"by_resource_type": {"MCORE": (2001, 1000)}},
        "has 2001 jobs of MCORE queued and 1000 running, 2000 may be queued",
    ),
    ("closed", ask(at_queues={"ANY": AtQueue(10, 20)}), {}, {}, "lost 20 jobs of this task in the last 12 h"),
    ("closed", ask(at_queues={"ANY": AtQueue(11, 21)}), {}, {}, None),
    (
        "overloaded",
        ask(),
        {},
        {"running": 20, "activated": 30, "starting": 11},
        "has 41 jobs queued and 20 running, 40 may be",
    ),
    ("overloaded", ask(), {}, {"running": 0, "defined": 40}, None),
    # 1500 x max(1000 of 1000 running, one of two users), but no more than everything
    (
        "user_queue",
        ask(at_queues={"ANY": AtQueue(0, 0, 1500, 2000)}),
        {},
        {"running": 1000, "activated": 1500, "user_count": 2},
        None,
    ),
    (
        "user_queue",
        ask(at_queues={"ANY": AtQueue(0, 0, 1201, 0)}),
        {},
        {"running": 600, "activated": 1200, "user_count": 0},
        "has 1201 jobs of alice queued, 1200 are this user's part of 1200",
    ),
]


@pytest.mark.parametrize("odd", CASES, ids=[f"{number}-{odd[0]}" for number, odd in enumerate(CASES)])
def test_an_odd_case_ends_as_it_was_worked_out(odd: Odd) -> None:
    name, request, parameters, facts, reason = odd
    facts = dict(facts)
    candidate = queue(facts.pop("queue_name", "ANY"), parameters, **facts)
    make = analysis_criteria if request.kind == "analysis" else production_criteria
    steps = broker(request, [candidate], make(BrokerageSettings())).steps
    said = {step.criterion: step.excluded[0]["reason"] for step in steps if step.excluded}
    assert list(said) == ([] if reason is None else [name])
    assert reason is None or said[name].startswith(reason)


def test_every_criterion_meets_two_odd_cases():
    settings = BrokerageSettings()
    names = [criterion.name for criterion in [*analysis_criteria(settings), *production_criteria(settings)]]
    # of these the odd cases need several queues, and stand in test_odd_grids
    few = {name for name in names if [odd[0] for odd in CASES].count(name) < 2}
    assert few == {"gpu_stated", "over_pledged", "storage"}
