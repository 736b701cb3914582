"""Which program a job gets, and that it is one that this server has."""

from __future__ import annotations

import pytest

from api.transformations import TRANSFORMATIONS
from core.errors import InvalidInput
from core.taskengine.dialects.transformations import (
    BUILD_ATHENA,
    BUILD_GEN,
    RUN_CONTAINER,
    RUN_GEN,
    run_transformation,
)


@pytest.mark.parametrize("name", [RUN_GEN, RUN_CONTAINER, BUILD_GEN, BUILD_ATHENA])
def test_what_is_given_to_jobs_is_served(name):
    assert name in TRANSFORMATIONS


@pytest.mark.parametrize(
    ("processing_type", "given", "chosen"),
    [
        ("panda-client-2.2.0-jedi-run", "", RUN_GEN),
        ("panda-client-2.2.0-jedi-cont", "", RUN_CONTAINER),
        ("", "", RUN_GEN),
        ("panda-client-2.2.0-jedi-athena", "https://x/trf/mine", "https://x/trf/mine"),
        ("simul", "Sim_tf.py", "Sim_tf.py"),
        ("simul", RUN_GEN, RUN_GEN),
    ],
)
def test_the_processing_type_chooses_unless_a_program_is_named(processing_type, given, chosen):
    assert run_transformation(processing_type, given) == chosen


@pytest.mark.parametrize(
    "given",
    ["runGen", "../x.sh", "/x.py", "x y.py", "ftp://x/y", "http://x/a b", "http://x/\n", "http://" + "x" * 3000],
)
def test_what_workers_cannot_fetch_is_refused(given):
    with pytest.raises(InvalidInput) as refused:
        run_transformation("", given)
    assert refused.value.field == "transPath"
