"""Reads `jobParameters` and `log`: the ordered items of PanDA's tasks (client-wire.md 4.5). Knows no table and no job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from core.errors import InvalidInput
from core.names import MAX_NAME_BYTES
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import MAX_FILES_PER_JOB, PSEUDO_DATASET, InputOrder, InputStream, OutputStream
from core.taskengine.dialects.templates import Segment, TemplateCommand, check_placeholders

MAX_ITEMS = 10_000
_MAX_TEXT_BYTES = 2**20
_MAX_FILES = 10**9
_MAX_EVENT_RATIO = 1_000_000
_STREAM = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_OF_ONE_JOB = "#{pandaid}"
_KNOWN_TYPES = ("", "input", "pseudo_input", "output", "log", "number")
_READ_ELSEWHERE = ("type", "value", "param_type", "dataset", "container", "hidden", "padding")


@dataclass
class Items:
    """What the items say."""

    segments: list[Segment] = field(default_factory=list)
    inputs: list[InputStream] = field(default_factory=list)
    outputs: list[OutputStream] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    is_encoded: bool = False
    """Whether jobs get the text in base64 (encJobParams)."""

    def command(self, inputs: Iterable[InputStream]) -> TemplateCommand:
        """The visible text, which may name these streams."""
        streams = frozenset(stream.name for stream in inputs if stream.kind == "input" or stream.pfns)
        return TemplateCommand(tuple(self.segments), streams, self.offsets, is_encoded=self.is_encoded)


def read_items(parameters: Mapping[str, Any]) -> Items:
    """Read all items and the log. Raises InvalidInput naming the item and its key."""
    given = parameters["jobParameters"]
    if len(given) > MAX_ITEMS:
        raise InvalidInput(f"more than {MAX_ITEMS} items", field="jobParameters", remedy="join constants")
    items = Items(is_encoded=_is_encoded(parameters))
    for position, item in enumerate(given):
        _read_item(items, item, f"jobParameters.{position}")
    log = parameters.get("log")
    if log is not None:
        if not isinstance(log, dict):
            raise InvalidInput("not an object", field="log", remedy="a template item with dataset and value")
        items.outputs.append(read_output(_with_names_of_its_own(log, parameters), "log", "LOG0", "log"))
    return items


def _with_names_of_its_own(log: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Of logs that stay where they are (destination local), as iDDS wants them: a number each, in one dataset of the task.

    It calls every one `log.tgz`, in a dataset per job (`PandaJob_#{pandaid}`).
    """
    value, dataset = log.get("value"), log.get("dataset")
    if log.get("destination") != "local":
        return log
    if isinstance(value, str) and value and "${SN" not in value:
        name = PurePosixPath(value)
        number = "${SN}" if "JEDITASKID" in value else "$JEDITASKID.${SN}"
        log = {**log, "value": f"{value.removesuffix(name.suffix)}.{number}{name.suffix}"}
    if isinstance(dataset, str) and _OF_ONE_JOB in dataset:
        log = {**log, "dataset": f"{str(parameters.get('taskName', '')).rstrip('/')}.log/"}
    return log


def _is_encoded(parameters: Mapping[str, Any]) -> bool:
    """encJobParams. Raises InvalidInput beside steps around the program, which would get the encoded text for theirs."""
    if not fields.flag(parameters, "encJobParams"):
        return False
    if parameters.get("multiStepExec"):
        raise InvalidInput("multiStepExec is asked for too", field="encJobParams", remedy="leave one of them out")
    return True


def _read_item(items: Items, item: dict[str, Any], where: str) -> None:
    kind = fields.text(item, "param_type", f"{where}.param_type")
    if kind not in _KNOWN_TYPES:
        raise InvalidInput(
            f"unknown type {kind[:40]!r}", field=f"{where}.param_type", remedy="one of " + ", ".join(_KNOWN_TYPES[1:])
        )
    value = _value(item, where)
    check_placeholders(value, f"{where}.value")
    if not fields.flag(item, "hidden", f"{where}.hidden"):
        is_padded = item.get("padding") is not False
        items.segments.append(Segment(value + " " if is_padded else value, f"{where}.value"))
    if kind in ("output", "log") and not fields.flag(item, "mergeOnly", f"{where}.mergeOnly"):
        prefix = "OUTPUT" if kind == "output" else "LOG"
        number = sum(stream.kind == kind for stream in items.outputs)
        items.outputs.append(read_output(item, kind, f"{prefix}{number}", where))
    elif kind in ("input", "pseudo_input") and item.get("dataset"):
        stream = _input(item, kind, value, where)
        if stream.name not in {known.name for known in items.inputs}:
            items.inputs.append(stream)
    elif kind == "number":
        offset = fields.number(item, "offset", (0, 2**53), f"{where}.offset", default=0)
        for name in _STREAM.findall(value):
            items.offsets.setdefault(name, offset or 0)


def _value(item: dict[str, Any], where: str) -> str:
    value = item.get("value", "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput("not text", field=f"{where}.value", remedy="send it as a JSON string")
    if len(value.encode("utf-8", "replace")) > _MAX_TEXT_BYTES:
        raise InvalidInput("larger than 1 MB", field=f"{where}.value", remedy="put it into the sandbox")
    return value


def _input(item: dict[str, Any], kind: str, value: str, where: str) -> InputStream:
    found = _STREAM.search(value)
    if found is None:
        raise InvalidInput(
            "an input without a placeholder", field=f"{where}.value", remedy="name its stream, as in ${IN}"
        )
    name = found.group(1)
    is_number = kind == "pseudo_input" or item.get("dataset") == PSEUDO_DATASET
    # production's words: every job gets all of it, and files may be used again
    wishes = fields.names(item, "attributes", f"{where}.attributes")
    return InputStream(
        name=name,
        kind="pseudo_input" if is_number else "input",
        datasets=fields.names(item, "dataset", f"{where}.dataset"),
        field=f"{where}.dataset",
        include=_patterns(item, "include", where),
        exclude=_patterns(item, "exclude", where),
        files=_files(item, where),
        offset=fields.number(item, "offset", (0, 2**53 if is_number else _MAX_FILES), f"{where}.offset", default=0)
        or 0,
        files_per_job=fields.positive(item, "nFilesPerJob", MAX_FILES_PER_JOB, f"{where}.nFilesPerJob"),
        ratio=fields.positive(item, "ratio", MAX_FILES_PER_JOB, f"{where}.ratio"),
        event_ratio=_event_ratio(item, where),
        order=_order(item, where),
        is_reusable=fields.flag(item, "reusable", f"{where}.reusable") or "repeat" in wishes or "reusable" in wishes,
        is_whole=name == "DBR" or "nosplit" in wishes,
        attributes={key: entry for key, entry in item.items() if key not in _READ_ELSEWHERE},
    )


def _order(item: dict[str, Any], where: str) -> InputOrder:
    return InputOrder.RANDOM if fields.flag(item, "random", f"{where}.random") else InputOrder.REGISTRATION


def _event_ratio(item: dict[str, Any], where: str) -> float | None:
    """Events of this stream per event of the master; 0 and absence both mean that nothing is stated."""
    value = item.get("eventRatio")
    if value is None or value == "":
        return None
    try:
        ratio = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= _MAX_EVENT_RATIO:
        raise InvalidInput(
            f"{str(value)[:50]!r} will not do",
            field=f"{where}.eventRatio",
            remedy=f"events per event of the first input, at most {_MAX_EVENT_RATIO}",
        )
    return ratio or None


def _files(item: dict[str, Any], where: str) -> tuple[str, ...]:
    """Names may come with their scope."""
    return tuple(name.split(":", 1)[-1] for name in fields.names(item, "files", f"{where}.files", limit=100_000))


def _patterns(item: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Regular expressions with commas between them, or a list of them."""
    value = item.get(key)
    if isinstance(value, str):
        value = _split_outside_brackets(value)
    patterns = fields.names({key: value}, key, f"{where}.{key}", limit=200)
    if any(len(pattern) > 1000 for pattern in patterns):
        raise InvalidInput("longer than 1000 characters", field=f"{where}.{key}", remedy="a shorter pattern")
    return patterns


def _split_outside_brackets(text: str) -> list[str]:
    """The parts between commas; a comma is within brackets when the next bracket behind it is a closing one."""
    parts, end, is_within = [], len(text), False
    for position in range(len(text) - 1, -1, -1):
        sign = text[position]
        if sign in "()[]{}":
            is_within = sign in ")]}"
        elif sign == "," and not is_within:
            parts.append(text[position + 1 : end])
            end = position
    return [text[:end], *reversed(parts)]


def read_output(item: dict[str, Any], kind: str, name: str, where: str) -> OutputStream:
    """The stream `name` (OUTPUT0, LOG0) of an item that stands at `where`. Raises InvalidInput naming its key."""
    template = _value(item, where)
    check_placeholders(template, f"{where}.value")
    if where.startswith("jobParameters.") and not fields.flag(item, "hidden", f"{where}.hidden"):
        template = _file_name(template)
    if template.startswith("regex|"):
        raise InvalidInput(
            "outputs found by a regular expression are not built", field=f"{where}.value", remedy="name each output"
        )
    dataset = fields.text(item, "dataset", f"{where}.dataset", limit=MAX_NAME_BYTES)
    if not template or not dataset.strip("/"):
        missing = "dataset" if template else "value"
        raise InvalidInput("missing", field=f"{where}.{missing}", remedy=f"the {kind} needs a name and a dataset")
    return OutputStream(
        name=name,
        kind=kind,
        dataset=dataset.rstrip("/").split(":", 1)[-1],
        container=fields.text(item, "container", f"{where}.container", limit=MAX_NAME_BYTES) or dataset,
        template=template,
        scope=scope_of(dataset),
        field=f"{where}.value",
        attributes={key: entry for key, entry in item.items() if key not in _READ_ELSEWHERE},
    )


def _file_name(value: str) -> str:
    """The name in an argument: `--outputHITSFile=HITS._${SN}.root`, as production writes its outputs, gives what follows."""
    words = value.rpartition("=")[2].split()
    return words[-1].strip("'\"") if words else ""


def scope_of(dataset: str) -> str:
    """`scope:name` says it; else `user.<name>` and `group.<name>` have two parts, other scopes one."""
    if ":" in dataset:
        return dataset.split(":", 1)[0]
    parts = dataset.rstrip("/").split(".")
    return ".".join(parts[:2]) if parts[0] in ("user", "group") else parts[0]
