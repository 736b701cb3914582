"""A collector of their own for tests of what programs emit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.logger.collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A real HTTP server that takes records, for one test."""
    server = Collector()
    yield server
    server.stop()
