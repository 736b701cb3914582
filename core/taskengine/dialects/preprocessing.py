"""Reads `preproSpec`: the job that works out the definition of the real work first (client-wire.md 4.4). Knows no table.

In the dictionaries of PanDA's clients it is a program with arguments, in those of `panda run` a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from core.errors import InvalidInput
from core.labels import LABELS
from core.taskbuffer.submission import MAX_PARAMETERS_BYTES
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import PreprocessStep
from core.taskengine.dialects.templates import check_placeholders
from core.taskengine.dialects.transformations import (
    GOOD_RUN_LIST,
    PICK_EVENTS,
    RUN_PREPROCESSING,
    preprocessing_transformation,
)

SPEC = "preproSpec"
REPORT = "jobReport.json"
"""What the job leaves for its pilot to send along: the JSON object with what it worked out (pilot-wire.md 6)."""
DEFAULT_LABEL = "panda"
"""What clients call the jobs that prepare the work of others, as they do for build jobs."""
_HOUSE_KEYS = ("command", "prodSourceLabel")
_OUTPUT = "preprocessed.json"


def read_preprocessing(parameters: Mapping[str, Any], processing_type: str) -> PreprocessStep | None:
    """The step of a task of PanDA's clients: `jobParameters` for a program, or a `command` with the archive it comes in.

    Raises InvalidInput naming the key.
    """
    spec = _spec(parameters)
    if spec is None:
        return None
    text = fields.text(spec, "jobParameters", f"{SPEC}.jobParameters", limit=2**20)
    command = fields.text(spec, "command", f"{SPEC}.command", limit=2**20)
    given = fields.text(spec, "transPath", f"{SPEC}.transPath", limit=2000)
    archive = _archive(parameters, spec)
    if bool(text.strip()) == bool(command.strip()):
        said = "given beside jobParameters" if command.strip() else "missing"
        raise InvalidInput(
            said,
            field=f"{SPEC}.command" if command.strip() else f"{SPEC}.jobParameters",
            remedy="the arguments of the program, or a command of your own",
        )
    if command.strip() and given:
        raise InvalidInput("given beside a command", field=f"{SPEC}.transPath", remedy="leave one of them out")
    check_placeholders(text, f"{SPEC}.jobParameters")
    if command.strip():
        from_archive = f"-a {archive} --sourceURL ${{SURL}} " if archive else ""
        text = f'{from_archive}-r . -p "{quote(command)}" -o {_OUTPUT}'
    is_ours = bool(command.strip())
    transformation = RUN_PREPROCESSING if is_ours else preprocessing_transformation(processing_type, given)
    return PreprocessStep(_label(parameters, spec), archive, text, transformation)


def read_house_preprocessing(parameters: Mapping[str, Any], transformation: str) -> PreprocessStep | None:
    """The step of a task of `panda run`: its `command`, in which %OUT is the file that its result goes into.

    Raises InvalidInput naming the key.
    """
    spec = _spec(parameters)
    if spec is None:
        return None
    for name in spec:
        if name not in _HOUSE_KEYS:
            raise InvalidInput(
                "there is no such key", field=f"{SPEC}.{str(name)[:60]}", remedy=f"one of {', '.join(_HOUSE_KEYS)}"
            )
    command = fields.text(spec, "command", f"{SPEC}.command", limit=MAX_PARAMETERS_BYTES)
    if not command.strip():
        raise InvalidInput(
            "missing", field=f"{SPEC}.command", remedy="the command that writes what it works out to %OUT"
        )
    return PreprocessStep(_label(parameters, spec), "", command, transformation, is_shell=True)


def notes_on_preprocessing(step: PreprocessStep | None) -> tuple[str, ...]:
    """What the owner of a task is told whose first job only services of ATLAS could do."""
    if step is None or step.transformation not in (GOOD_RUN_LIST, PICK_EVENTS):
        return ()
    what = "good run lists" if step.transformation == GOOD_RUN_LIST else "lists of events"
    return (f"{SPEC}: {what} need services of ATLAS; without them the first job fails, and says so",)


def _spec(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    spec = parameters.get(SPEC)
    if spec is None:
        return None
    if not isinstance(spec, dict):
        raise InvalidInput("not an object", field=SPEC, remedy="jobParameters, or a command")
    return spec


def _archive(parameters: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """The sandbox that a command finds: its own, or the one that is built of later."""
    built = parameters.get("buildSpec")
    where = spec if spec.get("archiveName") or not isinstance(built, dict) else built
    archive = fields.text(where, "archiveName", f"{SPEC}.archiveName", limit=1000)
    if archive and quote(archive, safe="/+,@=-._~") != archive:
        raise InvalidInput(
            f"{archive[:60]!r} is no name of an archive", field=f"{SPEC}.archiveName", remedy="letters, digits, - . _"
        )
    return archive


def _label(parameters: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Its own, or that of the task: nobody gets the label of others by way of a first job."""
    label = fields.text(spec, "prodSourceLabel", f"{SPEC}.prodSourceLabel", limit=64) or DEFAULT_LABEL
    of_task = fields.text(parameters, "prodSourceLabel", limit=64) or "user"
    if label not in LABELS or label not in (DEFAULT_LABEL, of_task):
        raise InvalidInput(
            f"{label[:40]!r} is neither {DEFAULT_LABEL} nor the label of the task",
            field=f"{SPEC}.prodSourceLabel",
            remedy="leave it out",
        )
    return label
