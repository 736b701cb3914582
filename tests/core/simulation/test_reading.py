"""A description that will not do is refused with the field and the remedy; changes to try are laid over it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.simulation.description import Description
from core.simulation.reading import check_comparable, read_description
from tests.core.simulation.describing import SMALL, described

REPOSITORY = Path(__file__).parents[3]


def test_a_description_is_read_with_its_defaults(tmp_path: Path) -> None:
    description = described(tmp_path)
    assert [kind.name for kind in description.queues] == ["NORTH", "SOUTH"]
    assert description.tick_count == 72
    assert description.queues[0].power == 10.0
    assert description.work[0].attempts == 3
    assert description.work[0].bunch_size == 6
    assert description.start == datetime(2030, 1, 7, tzinfo=UTC)
    assert [(node.name, node.position) for node in description.share_nodes] == [("production", 10), ("analysis", 20)]


def test_a_start_without_a_zone_is_utc(tmp_path: Path) -> None:
    description = described(tmp_path, "start = 2026-03-01T12:00:00\n" + SMALL)
    assert description.start.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["docs/examples/simulation.toml", "bench/simulation_million.toml"])
def test_the_files_that_come_with_it_are_sound(name: str) -> None:
    assert read_description(REPOSITORY / name).queues


def test_changes_are_found_by_name_and_by_number(tmp_path: Path) -> None:
    description = described(
        tmp_path,
        changes=[
            *("tick_s=300", "shares.analysis.value=70", "queues.0.slots=5", 'queues.SOUTH.status="online"'),
            *("work.bulk.walltime.mean_s=60", "settings.shares.sloppy=0", "title=what if", "queues.NORTH.power=12.5"),
        ],
    )
    assert (description.tick_s, description.title) == (300, "what if")
    assert description.shares[1].value == 70
    assert (description.queues[0].slots, description.queues[0].power, description.queues[1].status) == (
        5,
        12.5,
        "online",
    )
    assert description.work[0].walltime.mean_s == 60
    assert description.settings.shares.sloppy == 0
    assert description.settings.accounts.jobs_per_priority_point == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tick_s", "sets nothing"),
        ("=3", "sets nothing"),
        ("shares..value=3", "sets nothing"),
        ("shares.missing.value=3", "there is no 'missing'"),
        ("queues.7.slots=3", "there is no '7'"),
        ("tick_s.deep=3", "there is no 'tick_s'"),
        ("queues.0=3", "names a whole table"),
    ],
)
def test_a_change_that_changes_nothing_is_refused(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=[change])
    assert refused.value.field == "--set"
    assert said in refused.value.detail
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ("days=0", "days", "greater than 0"),
        ("days=1e9", "days", "less than or equal"),
        ("days=soon", "days", "valid number"),
        ("tick_s=1", "tick_s", "greater than or equal"),
        ("seed=-1", "seed", "greater than or equal"),
        ("seeds=3", "seeds", "no field of this name"),
        ("queues.NORTH.slot=3", "queues.NORTH.slot", "no field of this name"),
        ("queues.NORTH.slots=-1", "queues.NORTH.slots", "greater than or equal"),
        ("queues.NORTH.slots=10000000", "queues.NORTH.slots", "less than or equal"),
        ("queues.NORTH.name=a b", "queues.a b.name", "match pattern"),
        ("queues.NORTH.status=broken", "queues.NORTH.status", "one of online"),
        ("queues.NORTH.failure_rate=1", "queues.NORTH.failure_rate", "less than 1"),
        ("queues.NORTH.changes=[{at_hour = 1}]", "queues.NORTH.changes.0", "names nothing that changes"),
        ("shares.analysis.value=nan", "shares.analysis.value", "no weight"),
        ("shares.analysis.parent=nobody", "shares.analysis.parent", "there is no share"),
        ("shares.analysis.prod_source_label=managed", "shares.analysis.position", "can never match"),
        ("work.bulk.jobs=5", "work.bulk", "exactly one of"),
        ("work.bulk.until_hour=0.0", "work.bulk.until_hour", "greater than 0"),
        ("work.bulk.prod_source_label=none", "work.bulk.prod_source_label", "one of install"),
        ("work.bulk.walltime.mean_s=0", "work.bulk.walltime.mean_s", "greater than 0"),
        ("work.bulk.walltime.distribution=odd", "work.bulk.walltime.distribution", "fixed"),
        ("work.bulk.priority=10000000", "work.bulk.priority", "less than or equal"),
        ("settings.shares.sloppy=2", "settings.shares.sloppy", "less than or equal"),
        ("settings.shares.slopy=0", "settings.shares.slopy", "no field of this name"),
    ],
)
def test_a_bad_value_names_its_field(tmp_path: Path, change: str, field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=[change])
    assert refused.value.field == field
    assert said in refused.value.detail
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["steady_after_hours=12"], "steady_after_hours lies behind the end"),
        (["days=366", "tick_s=10"], "ticks"),
        (["queues.NORTH.count=2000"], "more than 2000 queues"),
        (["queues.NORTH.slots=1000000"], "more than 1000000 slots"),
        (["queues.1.name=NORTH"], "stands twice"),
        (["work.0.name=people"], "stands twice"),
        (["work.bulk.site=NORTH"], "there is no queue 'NORTH'"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: list[str], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=changes)
    assert said in refused.value.detail
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("days = ", "not valid TOML"),
        ("days = 1", "is missing"),
        ("", "is missing"),
        ("queues = 3\ndays = 1\nwork = []", ""),
    ],
)
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, text)
    assert said in refused.value.detail
    assert refused.value.remedy


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InvalidInput) as refused:
            read_description(path)
        assert refused.value.field == str(path)


def test_a_misspelt_field_is_told_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=["work.bulk.walltime.meen_s=3"])
    assert refused.value.remedy == "did you mean mean_s?"


@given(
    key=st.text(alphabet="abq.0shareswork_=\u00e9 ", max_size=30),
    value=st.one_of(
        st.text(max_size=20), st.sampled_from(["[1]", "{}", "1e999", "-0", "'", '"', "2030-01-01", "[[a]]"])
    ),
)
def test_any_change_is_taken_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, key: str, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(SMALL)
    try:
        assert isinstance(read_description(path, [f"{key}={value}"]), Description)
    except InvalidInput as refused:
        assert refused.field
        assert refused.remedy


@pytest.mark.parametrize(
    "change",
    [
        *("queues.NORTH.max_ram_mb=10000000000000000000", "start=0001-01-01", "start=9999-12-31"),
        *('work.bulk.processing_type="\\u0000"', "queues.SOUTH.max_walltime_s=9223372036854775808"),
    ],
)
def test_what_no_database_holds_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=[change])
    assert refused.value.remedy


def test_a_file_of_an_editor_that_writes_a_mark_in_front_is_read(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_text(SMALL, encoding="utf-8-sig")
    assert read_description(path).title == "small"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ("queues.NORTH.slots=true", "queues.NORTH.slots", "true will not do"),
        ("work.people.walltime.sigma=false", "work.people.walltime.sigma", "false will not do"),
        ("days=true", "days", "true will not do"),
        ("queues.SOUTH.name=NORTH_002", "", "two of them are called NORTH_002"),
        ("queues.NORTH.parameters.corepower=20", "queues.NORTH", "write it as power"),
    ],
)
def test_what_would_pass_for_something_else_is_refused(tmp_path: Path, change: str, field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        described(tmp_path, changes=[change])
    assert refused.value.field == (field or str(tmp_path / "simulation.toml"))
    assert said in refused.value.detail and refused.value.remedy


def test_a_truth_value_is_for_settings_and_parameters(tmp_path: Path) -> None:
    assert described(tmp_path, changes=["queues.NORTH.parameters.direct_access=true"]).queues[0].parameters


def test_lists_within_lists_beyond_reason_are_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="beyond reason"):
        described(tmp_path, "a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(InvalidInput):
        described(tmp_path, changes=["days=" + "[" * 5000 + "]" * 5000])


def test_runs_of_different_length_are_not_compared(tmp_path: Path) -> None:
    check_comparable(described(tmp_path), described(tmp_path, changes=["tick_s=300"]))
    with pytest.raises(InvalidInput, match=r"runs 0\.5 days, the file that it is compared with 1") as refused:
        check_comparable(described(tmp_path, changes=["days=1"]), described(tmp_path))
    assert refused.value.field == "--against" and "days = 0.5" in refused.value.remedy
