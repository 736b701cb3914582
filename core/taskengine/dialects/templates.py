"""The argument template of PanDA's tasks and what its placeholders become (client-wire.md 4.5). Knows no table."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.errors import InvalidInput
from core.taskengine.dialects.definition import Filling
from core.taskengine.dialects.quoting import QuoteState

_PLACEHOLDER = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:/(?P<variant>[A-Za-z]+))?\}|\$JEDITASKID\b")
_OPENED = re.compile(r"\$\{[^}]*(?:$|(?=\$\{))")
_OF_OTHER_STEPS = re.compile(r"\$\{(TRN_[A-Z0-9_]*|SEGMENT_NAME|SEGMENT_ID)\b[^}]*\}")

_NUMBERS: dict[str, Callable[[Filling], int]] = {
    "SKIPEVENTS": lambda filling: filling.skip_events,
    "MAXEVENTS": lambda filling: filling.max_events,
    "FIRSTEVENT": lambda filling: filling.first_event,
    # serials are never used twice, so neither are seeds
    "RNDMSEED": lambda filling: filling.serial,
}


@dataclass(frozen=True)
class Segment:
    """A piece of the command, and where it stands in the parameters."""

    text: str
    field: str


@dataclass(frozen=True)
class TemplateCommand:
    """The visible items of `jobParameters` in their order."""

    segments: tuple[Segment, ...]
    streams: frozenset[str]
    """Names of the input streams."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """What is added to FIRSTEVENT, RNDMSEED and their like."""
    is_encoded: bool = False
    """Whether the program takes its arguments in base64."""

    def fill(self, filling: Filling) -> str:
        """The argument string of one job."""
        text = self._filled(filling)
        return base64.b64encode(text.encode()).decode("ascii") if self.is_encoded else text

    def _filled(self, filling: Filling) -> str:
        """Every value is written so that it survives the quotes around it."""
        state = QuoteState()
        parts = []
        for segment in self.segments:
            position = 0
            for found in _PLACEHOLDER.finditer(segment.text):
                literal = segment.text[position : found.start()]
                state.read(literal)
                value = self._value(found, filling, segment.field)
                written = found.group() if value is None else state.protect(value)
                if value is None:
                    state.read(written)
                parts += [literal, written]
                position = found.end()
            state.read(segment.text[position:])
            parts.append(segment.text[position:])
        return "".join(parts).strip()

    def _value(self, found: re.Match[str], filling: Filling, where: str) -> str | None:
        """What a placeholder stands for; None when it is none of ours, as a variable of the shell."""
        name, variant = found["name"], found["variant"] or ""
        if name is None or name == "JEDITASKID":
            return str(filling.task_id)
        if name == "SN":
            return f"{filling.serial:06d}"
        if name == "SURL":
            return filling.source_url
        if name == "MIDDLENAME":
            return filling.middle_name
        if name == "LIB" and filling.library:
            return filling.library
        if name == "SEQNUMBER" and filling.sequence_number is not None:
            return str(filling.sequence_number)
        if name in _NUMBERS:
            return str(_NUMBERS[name](filling) + self.offsets.get(name, 0))
        if name in self.streams:
            return written_names(filling.inputs.get(name, []), variant, where)
        if name in ("SEQNUMBER", "LIB", "DBR") or re.fullmatch(r"IN\d*", name):
            raise InvalidInput(
                f"there is nothing that ${{{name}}} could stand for",
                field=where,
                remedy={
                    "SEQNUMBER": "add a pseudo_input item of the dataset seq_number",
                    "LIB": "add a buildSpec, or use the source archive",
                }.get(name, "add an input item with a dataset"),
            )
        return None


def check_placeholders(text: str, where: str) -> None:
    """Raise InvalidInput naming the item unless every `${` is closed and belongs to a run job."""
    opened = _OPENED.search(text)
    if opened is not None:
        raise InvalidInput(
            f"{opened.group()[:40]!r} is opened and not closed", field=where, remedy="write ${NAME} with its brace"
        )
    foreign = _OF_OTHER_STEPS.search(text)
    if foreign is not None:
        raise InvalidInput(
            f"{foreign.group()[:40]} belongs to merging or hyperparameter search, which are not built",
            field=where,
            remedy="leave it out",
        )


def written_names(names: list[str], variant: str, where: str) -> str:
    """Names of files in the spelling of a variant: Python list, comma list, quoted, blanks; plain is compacted."""
    if variant == "T":
        return str(names)
    if variant in ("L", "E"):
        return ",".join(names)
    if variant == "A":
        return ",".join(f"'{name}'" for name in names)
    if variant == "S":
        return " ".join(names)
    if variant:
        raise InvalidInput(
            f"the variant /{variant[:20]} of a list of files is not known here",
            field=where,
            remedy="/T Python list, /L and /E comma list, /A quoted, /S blanks; none: compacted",
        )
    return compacted(names)


def compacted(names: list[str]) -> str:
    """`a.1.b` and `a.2.b` as `a.[1,2].b`."""
    if len(names) <= 1:
        return "".join(names)
    head = _common_beginning(names)
    rests = [name[len(head) :] for name in names]
    tail = _common_beginning([rest[::-1] for rest in rests])[::-1]
    return f"{head}[{','.join(rest[: len(rest) - len(tail)] for rest in rests)}]{tail}"


def _common_beginning(names: list[str]) -> str:
    first, last = min(names), max(names)
    length = next((index for index, character in enumerate(first) if character != last[index]), len(first))
    return first[:length]
