"""A hot statement that each connection plans once. Knows how to write PREPARE and EXECUTE, no table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PreparedStatement:
    """A statement with `%(name)s` parameters and the SQL type of each.

    Planning the statements of dispatch costs three times what running them costs, so the server keeps their plan
    (a generic one: it does not depend on the values). `name` is unique among the prepared statements.
    """

    name: str
    statement: str
    types: Mapping[str, str]
    prepare: str = field(init=False)
    execute: str = field(init=False)

    def __post_init__(self) -> None:
        order = {name: position for position, name in enumerate(self.types, start=1)}
        numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${order[found[1]]}", self.statement)
        object.__setattr__(self, "prepare", f"PREPARE {self.name} ({', '.join(self.types.values())}) AS {numbered}")
        object.__setattr__(self, "execute", f"EXECUTE {self.name} ({', '.join(f'%({name})s' for name in order)})")
