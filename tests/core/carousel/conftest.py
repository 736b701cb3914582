"""The storage that every test of the carousel begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.database import Database
from tests.core.carousel.tapes import Storage


@pytest.fixture
def storage(database: Database, tmp_path: Path) -> Storage:
    return Storage(database, tmp_path)
