"""States can be told apart by everybody: by shape and word, and by colour under the common deficiencies."""

from __future__ import annotations

import itertools

import pytest

from core.states import StagingStatus, TaskStatus
from dashboard import palette

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
_SIMULATIONS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
_LEAST_DISTANCE = 9.0
"""CIE76 distance in Lab; 2.3 is the least that eyes notice side by side."""


def _linear(colour):
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def _lab(linear):
    red, green, blue = (min(1.0, max(0.0, value)) for value in linear)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _seen(colour, matrix):
    linear = _linear(colour)
    return _lab([sum(weight * value for weight, value in zip(row, linear, strict=True)) for row in matrix])


def _distance(first, second, matrix):
    return sum((a - b) ** 2 for a, b in zip(_seen(first, matrix), _seen(second, matrix), strict=True)) ** 0.5


@pytest.mark.parametrize("simulation", _SIMULATIONS)
@pytest.mark.parametrize(
    "table", ["JOB_STATES", "SEVERITIES", "INCIDENT_STATES", "QUEUE_STATES", "TASK_STATES", "STAGING_STATES"]
)
def test_colours_keep_their_distance(table, simulation):
    colours = sorted({look.colour for look in getattr(palette, table).values()})
    for first, second in itertools.combinations(colours, 2):
        distance = _distance(first, second, _SIMULATIONS[simulation])
        assert distance >= _LEAST_DISTANCE, f"{first} and {second} under {simulation}: {distance:.1f}"


@pytest.mark.parametrize("table", ["SEVERITIES", "INCIDENT_STATES", "QUEUE_STATES"])
def test_shapes_alone_tell_states_apart(table):
    looks = getattr(palette, table).values()
    assert len({look.shape for look in looks}) == len(looks)


def test_job_states_of_one_colour_differ_in_shape_unless_all_of_them_wait():
    by_look = {}
    for name, look in palette.JOB_STATES.items():
        by_look.setdefault((look.colour, look.shape), []).append(name)
    shared = [names for names in by_look.values() if len(names) > 1]
    assert shared == [["assigned", "defined", "waiting", "pending"]]


def test_every_shape_is_drawn():
    from pathlib import Path

    import dashboard

    drawn = (Path(dashboard.__file__).parent / "assets" / "1_base.css").read_text()
    tables = (
        palette.JOB_STATES,
        palette.TASK_STATES,
        palette.SEVERITIES,
        palette.INCIDENT_STATES,
        palette.QUEUE_STATES,
        palette.STAGING_STATES,
    )
    for look in (look for table in tables for look in table.values()):
        assert f".shape-{look.shape} " in drawn


def test_every_state_of_a_task_and_of_a_dataset_from_tape_has_a_look():
    assert set(palette.TASK_STATES) == set(TaskStatus)
    assert set(palette.STAGING_STATES) == set(StagingStatus)
