"""Descriptions for tests: a small grid in TOML, with what a test wants to change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.simulation.description import Description
from core.simulation.reading import read_description

SMALL = """
title = "small"
days = 0.5
tick_s = 600
steady_after_hours = 2

[[queues]]
name = "NORTH"
count = 2
slots = 20
max_ram_mb = 3000

[[queues]]
name = "SOUTH"
slots = 10
cores = 2
status = "test"

[[shares]]
name = "production"
value = 60
prod_source_label = "managed"

[[shares]]
name = "analysis"
value = 40
prod_source_label = "user"

[[work]]
name = "bulk"
keep_queued = 60
walltime = { mean_s = 3600 }

[[work]]
name = "people"
user = "person"
users = 3
jobs_per_hour = 10
prod_source_label = "user"
failure_rate = 0.2
walltime = { mean_s = 1800, distribution = "exponential" }
"""


def described(directory: Path, text: str = SMALL, changes: Sequence[str] = ()) -> Description:
    """The description that a file of this text makes."""
    path = directory / "simulation.toml"
    path.write_text(text)
    return read_description(path, changes)
