"""docs/panda-compatibility.md says of every endpoint what it does: no more and no less than there is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from api.panda import MODULES
from api.panda.legacy import LEGACY_METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "panda-compatibility.md").read_text()
ENDPOINTS = {
    (module, name): value
    for module, functions in MODULES.items()
    for name, value in vars(functions).items()
    if hasattr(value, "__panda__")
}
BEYOND_THE_PUBLISHED = {("workflow", "get_workflow_details")}
"""What the real client calls though the published server does not have it (client-wire.md 6.2)."""


def rows() -> dict[tuple[str, str], str]:
    """What the table says, by module and function."""
    module, said = "", {}
    for line in PAGE.splitlines():
        if heading := re.fullmatch(r"\| \*\*(\w+)\*\* \|.*", line):
            module = heading.group(1)
        elif module and (row := re.fullmatch(r"\| (\w+) \| [A-Z, ]+ \| \d \| (.+) \|", line)):
            said[(module, row.group(1))] = row.group(2)
    return said


def does_nothing(endpoint: Callable[..., object]) -> bool:
    """Whether all an endpoint ever answers is that its feature does not exist."""
    return re.findall(r"return (\w+)", inspect.getsource(endpoint)) == ["not_built"]


def test_the_table_lists_what_is_served():
    assert set(rows()) == set(ENDPOINTS) - BEYOND_THE_PUBLISHED


@pytest.mark.parametrize("key", sorted(rows()), ids="/".join)
def test_the_table_says_whether_it_works(key):
    assert rows()[key].startswith("refused") is does_nothing(ENDPOINTS[key])


@pytest.mark.parametrize("name", LEGACY_METHODS)
def test_every_old_method_is_told_of(name):
    assert re.search(rf"\b{name}\b", PAGE)
