"""What operators write about queues: read where it can be read, told where not, never in the way."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from core.brokerage import facts
from core.brokerage.broker import broker
from core.brokerage.criteria import ANALYSIS, PRODUCTION
from core.brokerage.requests import read_wishes
from core.brokerage.share_policy import share_parts
from core.brokerage.stated import Stated, read_stated
from core.brokerage.weighing import weigh
from tests.core.brokerage.describing import ask, queue
from tests.support.builders import broker as cycle
from tests.support.builders import make_queue, status_of, submit

KEYS = [
    *("type", "capability", "corecount", "corepower", "minrss", "maxrss", "memory", "maxwdir", "maxtime", "mintime"),
    *("pledgedcpu", "transferringlimit", "maxdiskio", "max_io_intensity", "fairsharepolicy", "wnconnectivity"),
    *("direct_access_lan", "direct_access_wan", "allow_wan", "releases", "architectures", "container_type", "gpu"),
    *("allowed_processing", "excluded_processing", "catchall", "space", "disableReassign", "allow_no_pilot"),
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), ANYTHING, max_size=8) | ANYTHING)
def test_no_parameters_stop_brokerage(parameters):
    odd = queue(parameters=parameters)
    request = ask(core_count=4, min_ram_mb=10, disk_io_kb_s=5, io_kb_s=5, gpu="x", release="y", network="full")
    for kind, criteria in (("user", ANALYSIS), ("managed", PRODUCTION)):
        asked = ask(kind, **{name: getattr(request, name) for name in ("core_count", "min_ram_mb", "gpu", "release")})
        for criterion in criteria:
            for one in (asked, request):
                reason = criterion.reason(one, odd)
                assert reason is None or isinstance(reason, str)
                acceptable = criterion.acceptable(one, odd)
                assert acceptable is None or isinstance(acceptable, int)
        broker(asked, [odd, queue("FINE")])
        weigh(asked, odd)


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from(["site", "ioIntensity", "architecture"]), ANYTHING, max_size=6
    )
)
def test_no_parameters_of_a_task_stop_brokerage(parameters):
    broker(read_wishes(parameters).added_to(ask()), [queue()])


@given(st.text(alphabet="typegroup=:&,%0123456789<>*any-", max_size=60))
def test_no_share_policy_stops_brokerage(policy):
    broker(ask(processing_type="evgen"), [queue(parameters={"fairsharepolicy": policy}), queue("FINE")])


def test_texts_are_read_as_what_they_mean():
    stated = read_stated(
        {
            **{"maxrss": "16000", "corecount": 8.0, "maxtime": "345600", "direct_access_lan": "True"},
            **{"catchall": "useJumboJobs,allowed_processing=a|b,allow_no_pilot,maxDiskio=300"},
            **{"wnconnectivity": "http#IPv6", "releases": "AUTO", "container_type": "singularity:wrapper"},
        }
    )
    assert stated == Stated(
        maxrss=16000,
        corecount=8,
        maxtime=345600,
        reads_lan=True,
        allowed_processing=frozenset({"a", "b"}),
        expects_no_pilots=True,
        maxdiskio=300.0,
        network="http",
        ip_version="IPv6",
        runs_containers=True,
    )
    assert stated.unreadable == ()


def test_zero_and_nothing_mean_no_limit():
    assert read_stated({"maxrss": 0, "maxtime": "", "corecount": None, "mintime": -1}) == Stated()


def test_what_cannot_be_read_is_named():
    bad = {"maxrss": "a lot", "type": "weird", "direct_access_wan": [], "wnconnectivity": "sometimes", "releases": 7}
    assert set(read_stated(bad).unreadable) == set(bad)
    assert read_stated(bad) == Stated()


def test_the_first_matching_part_of_a_policy_decides():
    parts = share_parts("priority>400:0,group=higgs&type=evgen:0%,nonsense,what=ever:3%,type=any:50%")
    assert [part.percentage for part in parts] == [0.0, 0.0, 50.0]
    about = {"group": "higgs", "type": "evgen"}
    assert [part.matches(about, 100) for part in parts] == [False, True, True]
    assert [part.matches({}, 401) for part in parts] == [True, False, True]


def test_an_operator_is_told_once_of_what_brokerage_cannot_read(database, caplog):
    facts._warned.clear()
    make_queue(database, "ODD", parameters={"maxrss": "much", "type": ["x"], "catchall": 5})
    [panda_id] = submit(database, queue="")
    with caplog.at_level(logging.WARNING, logger="panda.brokerage"):
        assert cycle(database) == 1
        submit(database, queue="")
        cycle(database)
    assert status_of(database, panda_id) == "activated"
    said = [record.getMessage() for record in caplog.records if "ODD" in record.getMessage()]
    assert said == ["queue ODD: brokerage cannot read its parameters type, maxrss and takes them as not stated"]
