"""Settings as a table: the name, value and meaning of each, nested ones and lists of tables included, for people to read.

Knows the shape of typed settings; does not know one by name, nor where values come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Documented(BaseModel):
    """A table of settings, each of which says below it what it means; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def fields(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Name with dots, description and kind of every setting; kind is dict for tables with free keys."""
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description or "", getattr(kind, "__origin__", kind)


def leaves(model: BaseModel) -> Iterator[tuple[str, Any, str]]:
    """Name, value and description of every setting; a list of tables as its length and the settings in each."""
    for name, description, kind in fields(type(model)):
        value: Any = model
        for part in name.split("."):
            value = getattr(value, part)
        if kind is list and isinstance(value, list) and _table_of(model, name) is not None:
            yield from _tables(name, value, description, _table_of(model, name) or BaseModel)
        else:
            yield name, value, description


def _table_of(model: BaseModel, name: str) -> type[BaseModel] | None:
    """What each entry of a list of tables is; None for other settings."""
    field = type(model).model_fields.get(name)
    kind = get_args(field.annotation)[0] if field is not None and get_origin(field.annotation) is list else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _tables(
    name: str, entries: list[BaseModel], description: str, kind: type[BaseModel]
) -> Iterator[tuple[str, Any, str]]:
    """How many tables a list holds and what is in each; without any, what one may hold."""
    yield name, len(entries), description
    for number, entry in enumerate(entries):
        yield from ((f"{name}[{number}].{leaf}", value, words) for leaf, value, words in leaves(entry))
    if not entries:
        for leaf, field in kind.model_fields.items():
            value = "(required)" if field.is_required() else field.get_default(call_default_factory=True)
            yield f"{name}[].{leaf}", value, field.description or ""


def masked(name: str, value: Any) -> Any:
    """A value as people may see it."""
    if isinstance(value, Mapping) and name.endswith("secrets"):
        return dict.fromkeys(value, "***")
    if name.endswith(("_secret", ".password", ".token")):
        return "***" if value else ""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        return f"{len(value)} tables"
    return _without_password(value) if name.endswith("_url") and isinstance(value, str) else value


def _without_password(address: str) -> str:
    head, at, tail = address.rpartition("@")
    scheme, separator, account = head.partition("://")
    user, colon, _ = account.partition(":")
    return f"{scheme}{separator}{user}{':***' if colon else ''}{at}{tail}" if at else address
