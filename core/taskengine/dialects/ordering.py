"""In which order files are taken: `orderInputBy` of a task, `random` of an item. Knows keys only.

PanDA's documents name the rule and no value. Names of what a file has are understood, ours and those of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput
from core.taskengine.dialects.definition import InputOrder, InputStream, SplitRule

_MEANING: dict[str, InputOrder] = {
    **dict.fromkeys(("name", "lfn"), InputOrder.NAME),
    **dict.fromkeys(("size", "fsize", "filesize"), InputOrder.SIZE),
    **dict.fromkeys(("events", "nevents"), InputOrder.EVENTS),
    **dict.fromkeys(("registration", "creationdate", "fileid"), InputOrder.REGISTRATION),
    "random": InputOrder.RANDOM,
}
_DIRECTIONS = {"": False, "asc": False, "desc": True}


def ordered(parameters: Mapping[str, Any], stream: InputStream, split: SplitRule) -> InputStream:
    """The master input of a task in the order asked for; as it is when nothing is that is understood.

    Raises InvalidInput where the order would tear apart what must stay together.
    """
    wanted = _read(parameters.get("orderInputBy"))
    if wanted is None or stream.kind != "input":
        return stream
    if split.keeps_boundaries_whole:
        raise InvalidInput(
            "files of a boundary must follow one another, as they are registered",
            field="orderInputBy",
            remedy="leave it out, or let boundaries be cut (groupBoundaryID 1)",
        )
    return replace(stream, order=wanted[0], is_descending=wanted[1])


def notes_on_order(parameters: Mapping[str, Any], inputs: Sequence[InputStream]) -> tuple[str, ...]:
    """What the owner is told of an order or a ratio that means nothing here, one sentence each."""
    said, master = [], inputs[0]
    given = parameters.get("orderInputBy")
    if given and master.kind != "input":
        said.append("orderInputBy: there are no files to order")
    elif given and _read(given) is None:
        known = ", ".join(InputOrder)
        said.append(
            f"orderInputBy: files are taken in the order of the catalogue; it may be {known}, with desc behind it"
        )
    for stream in inputs:
        where = stream.field.removesuffix(".dataset")
        if stream.kind != "input" and stream.order is InputOrder.RANDOM:
            said.append(f"{where}.random: numbers are taken in their order")
        if stream.event_ratio and (stream is master or stream.kind != "input"):
            said.append(f"{where}.eventRatio: means something of a second input of files only")
    return tuple(said)


def _read(value: Any) -> tuple[InputOrder, bool] | None:
    """What to order by, and whether the largest comes first: `events`, `-size`, `name desc`."""
    text = value.strip().lower() if isinstance(value, str) else ""
    word, _, direction = text.removeprefix("-").partition(" ")
    order, is_descending = _MEANING.get(word), _DIRECTIONS.get(direction.strip())
    if order is None or is_descending is None:
        return None
    return order, is_descending != text.startswith("-")
