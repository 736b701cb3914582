"""Reads the description of a simulation, with changes to try, and says in words what is wrong with it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from core.errors import InvalidInput, PandaError
from core.shares.checking import check_tree
from core.simulation.description import Description

_MAX_BYTES = 4 * 2**20


def read_description(path: Path, changes: Sequence[str] = ()) -> Description:
    """The description in a TOML file with `changes` (`key=value`, the key with dots) laid over it.

    Raises InvalidInput naming the file, the field or the change that is wrong, and what to do.
    """
    document = _document(path)
    for change in changes:
        _apply(document, change)
    _check_numbers(document, path)
    try:
        description = Description.model_validate(document)
    except ValidationError as error:
        raise _explained(error, document, path) from error
    try:
        check_tree(description.share_nodes)
    except PandaError as error:
        raise InvalidInput(error.detail, field=f"shares.{error.field}", remedy=error.remedy) from error
    return description


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidInput("is larger than 4 MB", field=str(path), remedy="describe like queues with `count`")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        remedy = "name a file that you can read; docs/simulation.md describes it"
        raise InvalidInput(f"cannot be read: {error.strerror}", field=str(path), remedy=remedy) from error
    except RecursionError as error:
        remedy = "see docs/examples/simulation.toml for the form"
        raise InvalidInput("has lists within lists beyond reason", field=str(path), remedy=remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = "see docs/examples/simulation.toml for the form"
        raise InvalidInput(f"is not valid TOML: {error}", field=str(path), remedy=remedy) from error


def _check_numbers(document: dict[str, Any], path: Path) -> None:
    """No field outside `settings` and `parameters` is a truth value, and `slots = true` would pass for one slot."""
    places: list[tuple[tuple[int | str, ...], Any]] = [
        ((name,), value) for name, value in document.items() if name != "settings"
    ]
    while places:
        location, value = places.pop()
        if isinstance(value, bool):
            said = f"{str(value).lower()} will not do: a number or a text is wanted"
            raise InvalidInput(said, field=_readable(location, document), remedy=f"correct it in {path}")
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        places += [((*location, key), below) for key, below in inner if key != "parameters"]


def check_comparable(description: Description, other: Description) -> None:
    """Raise InvalidInput for runs of which most figures differ by their length alone."""
    if description.days != other.days:
        raise InvalidInput(
            f"runs {other.days:g} days, the file that it is compared with {description.days:g}: "
            "jobs, hours and waits would differ by that alone",
            field="--against",
            remedy=f"compare runs of the same length: give both days = {other.days:g}",
        )


def _apply(document: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InvalidInput(
            f"{change!r} sets nothing", field="--set", remedy="write it as tick_s=300 or shares.NAME.value=40"
        )
    place: Any = document
    for part in parts[:-1]:
        place = _step(place, part, change)
    if isinstance(place, list):
        raise InvalidInput(
            f"{change!r} names a whole table",
            field="--set",
            remedy=f"name a field of it too: {key.strip()}.FIELD=VALUE",
        )
    place[parts[-1]] = _value(text.strip())


def _step(place: Any, part: str, change: str) -> Any:
    """One level down: a table by name, an entry of a list of tables by its `name` or its number from 0."""
    found: Any = None
    if isinstance(place, dict):
        found = place.setdefault(part, {})
    elif isinstance(place, list):
        named = [entry for entry in place if isinstance(entry, dict) and entry.get("name") == part]
        numbered = place[int(part) : int(part) + 1] if part.isascii() and part.isdigit() else []
        found = next(iter([*named, *numbered]), None)
    if not isinstance(found, dict | list):
        names = (
            [str(entry.get("name")) for entry in place if isinstance(entry, dict)] if isinstance(place, list) else []
        )
        remedy = f"one of {', '.join(names[:10])}" if names else "see docs/simulation.md for the fields"
        raise InvalidInput(f"{change!r}: there is no {part!r}", field="--set", remedy=remedy)
    return found


def _value(text: str) -> Any:
    """A value as TOML has it; what is none is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _explained(error: ValidationError, document: dict[str, Any], path: Path) -> InvalidInput:
    item = error.errors()[0]
    field = _readable(item["loc"], document)
    if item["type"] == "extra_forbidden":
        known = _fields_at(item["loc"][:-1])
        close = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
        return InvalidInput("there is no field of this name", field=field, remedy=remedy)
    if item["type"] == "missing":
        return InvalidInput("is missing", field=field, remedy=f"add it to {path}")
    said = item["msg"].removeprefix("Value error, ")
    given = "" if isinstance(item["input"], dict | list | BaseModel) else f"{item['input']!r} will not do: "
    others = len(error.errors()) - 1
    more = f" ({others} more will not do)" if others else ""
    return InvalidInput(
        f"{given}{said[:1].lower()}{said[1:]}{more}", field=field or str(path), remedy=f"correct it in {path}"
    )


def _readable(location: tuple[int | str, ...], document: dict[str, Any]) -> str:
    """queues.CERN.slots rather than queues.3.slots, where the entry has a name."""
    parts: list[str] = []
    place: Any = document
    for part in location:
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            place = None
        name = place.get("name") if isinstance(part, int) and isinstance(place, dict) else None
        parts.append(str(name if isinstance(name, str) and name else part))
    return ".".join(parts)


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The fields that a table at this place may have."""
    model: type[BaseModel] = Description
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        kinds = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return sorted(model.model_fields)
