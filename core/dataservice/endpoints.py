"""What a replica's endpoint and place must be. Knows storage endpoints; does not know datasets."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Transaction
from core.dataservice.places import deterministic_path, place
from core.errors import InvalidInput, UnknownObject


@dataclass(frozen=True)
class Endpoint:
    """A storage area as far as places of files depend on it."""

    name: str
    path: str
    is_deterministic: bool

    def pfn_of(self, scope: str, lfn: str, given: str, field: str) -> str:
        """Where a copy of a file lies here: as given, or by the rule of a deterministic endpoint when nothing is given.

        Raises InvalidInput naming `field` for what is no place, and for a place that a deterministic endpoint cannot have:
        the production pilot never looks there, and takes a missing input for a good one (pilot-wire.md 4).
        """
        if not self.is_deterministic:
            check_pfn(given, field)
            return given
        expected = place(self.path, scope, lfn)
        if not given:
            return expected
        check_pfn(given, field)
        if not given.endswith(f"/{deterministic_path(scope, lfn)}"):
            raise InvalidInput(
                f"{given[:200]!r} is not where {self.name} keeps {scope}:{lfn}",
                field=field,
                remedy=f"put the file at {expected}, and leave the pfn out",
            )
        return given


def known_endpoints(transaction: Transaction | Database) -> dict[str, Endpoint]:
    """All storage endpoints by name."""
    rows = transaction.fetch("SELECT name, path, is_deterministic FROM storage_endpoints")
    return {row["name"]: Endpoint(row["name"], row["path"], row["is_deterministic"]) for row in rows}


def endpoint_named(known: dict[str, Endpoint], name: str, field: str) -> Endpoint:
    """One of the known endpoints. Raises UnknownObject naming `field`."""
    found = known.get(name)
    if found is None:
        raise UnknownObject(
            f"there is no storage endpoint {name[:100]!r}", field=field, remedy="see GET /api/control/endpoints"
        )
    return found


def check_pfn(pfn: str, field: str) -> None:
    """Raise InvalidInput naming `field` unless `pfn` says where a copy lies, whatever directory a mover works in."""
    if not (pfn.startswith("/") or "://" in pfn) or "\x00" in pfn:
        raise InvalidInput(f"{pfn[:100]!r} is no place", field=field, remedy="an absolute path, or a URL")
