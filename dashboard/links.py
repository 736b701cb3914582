"""Addresses of pages inside this mounted monitor. The grammar is `pandascope.addresses`; the prefix is known only here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pandascope.addresses import Address, Page, parse_address
from pandascope.errors import Usage


@dataclass(frozen=True)
class Links:
    """Makes and reads addresses below a prefix such as '/monitor/'."""

    prefix: str

    def to(self, address: Address) -> str:
        """The address as a link."""
        return self.prefix.rstrip("/") + str(address)

    def page(self, name: str, number: int | str | None = None, /, **filters: Any) -> str:
        """A link to a page with filters; those that are None or empty are left out."""
        kept = {key: str(value) for key, value in filters.items() if value not in (None, "")}
        return self.to(Address(Page(name), None if number is None else int(number), kept))

    def parse(self, href: str | None) -> Address | None:
        """The page that the browser's address names; None before the browser has told, and for pages that do not exist."""
        if not href:
            return None
        parts = urlsplit(href)
        inside = "/" + parts.path.removeprefix(self.prefix.rstrip("/")).lstrip("/")
        try:
            return parse_address(f"{inside}?{parts.query}" if parts.query else inside)
        except Usage:
            return None


def without(address: Address, *names: str) -> Address:
    """The address with some filters taken off."""
    kept = {name: value for name, value in address.filters.items() if name not in names}
    return Address(address.page, address.number, kept)


def having(address: Address, name: str, value: str) -> Address:
    """The address with one filter set, replacing its earlier value."""
    return Address(address.page, address.number, {**address.filters, name: value})


def bare(address: Address) -> Address:
    """The page without any filter."""
    return Address(address.page, address.number)
