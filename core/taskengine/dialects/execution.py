"""What a pilot must do around the transformation of a task's jobs. Knows the task's parameters only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.names import UNMERGED
from core.taskengine.dialects import fields

_STEPS = ("preprocess", "postprocess", "coprocess")
_KNOWN = (*_STEPS, "containerOptions")


def execution_steps(parameters: Mapping[str, Any], transformation: str = "", arguments: str = "") -> dict[str, Any]:
    """`multiStepExec` as a pilot reads it: preprocess, postprocess, coprocess, containerOptions (pilot-wire.md 3).

    `parameters` of the task; `${TRF}` and `${TRF_ARGS}` stand for the program and the job's argument string, which are
    filled in when given. Empty without multiStepExec; what is not an object of the known shape is left out.
    """
    given = parameters.get("multiStepExec")
    if not isinstance(given, dict):
        return {}
    steps: dict[str, Any] = {}
    for name in _STEPS:
        step = given.get(name)
        if isinstance(step, dict) and isinstance(step.get("command"), str):
            filled = {key: _filled(step.get(key), transformation, arguments) for key in ("command", "args")}
            steps[name] = {key: value for key, value in filled.items() if value}
    options = given.get("containerOptions")
    if isinstance(options, dict):
        steps["containerOptions"] = options
    return steps


def check_steps(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput naming what of `multiStepExec` would be left out for its shape."""
    given = parameters.get("multiStepExec")
    if given in (None, "", {}, False):
        return
    if not isinstance(given, dict):
        raise InvalidInput("not an object", field="multiStepExec", remedy=f"some of {', '.join(_KNOWN)}")
    for name, step in given.items():
        where = f"multiStepExec.{str(name)[:50]}"
        if name not in _KNOWN:
            raise InvalidInput("there is no such step", field=where, remedy=f"one of {', '.join(_KNOWN)}")
        if step is None:
            continue
        if not isinstance(step, dict):
            raise InvalidInput("not an object", field=where, remedy="an object, or leave it out")
        for key in ("command", "args") if name in _STEPS else ():
            fields.text(step, key, f"{where}.{key}", limit=2**20)
        if name in _STEPS and not step.get("command"):
            raise InvalidInput("missing", field=f"{where}.command", remedy="what is to be run")


def optional_outputs(parameters: Mapping[str, Any]) -> list[str]:
    """The datasets (without slash) whose files a job may leave out: their items say `allowNoOutput`.

    Of outputs that are merged it is the transient dataset whose files may be missing.
    """
    items = parameters.get("jobParameters")
    prefix = UNMERGED if parameters.get("mergeOutput") else ""
    return [
        prefix + str(item.get("dataset", "")).rstrip("/")
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and item.get("param_type") == "output" and item.get("allowNoOutput") is True
    ]


def _filled(value: object, transformation: str, arguments: str) -> str:
    text = value if isinstance(value, str) else ""
    if transformation:
        text = text.replace("${TRF}", transformation).replace("${TRF_ARGS}", arguments)
    return text
