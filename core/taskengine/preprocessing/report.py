"""What a preprocessing job worked out, and the parameters of its task with that in them. Pure functions: no table.

The report is a JSON object. Its keys are placeholders, `%%INDS%%` say, each standing for what takes its place wherever a
parameter is just that (upstream's way, with which good run lists and event picking work); or names of parameters, which
get another value. Whatever else is in it, as programs say more in such reports, means nothing.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskengine.dialects.door import KNOWN_PARAMETERS
from core.taskengine.dialects.panda import is_panda_dialect
from core.taskengine.dialects.preprocessing import REPORT, SPEC
from core.taskengine.dialects.quoting import QuoteState

MAX_REPORT_BYTES = 16 * 2**20

KEPT = frozenset(
    {
        *(
            "taskName",
            "userName",
            "vo",
            "prodSourceLabel",
            "workingGroup",
            "countryGroup",
            "uniqueTaskName",
            "official",
        ),
        *("taskPriority", "currentPriority", "campaign", "taskType", "processingType", "parent_tid", "noWaitParent"),
        "nucleus",
        # what is run, and where it comes from, is said by who submits and not by a worker node
        *("jobParameters", "transPath", "transHome", "transUses", "architecture", "sourceURL", "sandboxDataset"),
        *(
            "container_name",
            "multiStepExec",
            "buildSpec",
            "mergeSpec",
            SPEC,
            "useSecrets",
            "outputs",
            "log",
            "log_merge",
        ),
    }
)
"""What makes a task this task: no job changes it, and no placeholder in it is filled in but in `jobParameters`."""
_FILLED_ALL_THE_SAME = frozenset({"jobParameters", "mergeSpec", "log", "log_merge", "outputs"})
_OF_REPORTS = frozenset(
    {
        *("files", "name", "created", "executor", "resource", "cmdLine", "reportVersion", "exitCode", "exitAcronym"),
        *("exitMsg", "exitMsgExtra", "exeErrorCode", "exeErrorDiag", "nEventsWritten", "user_job_metadata"),
    }
)
"""What transformations say in their reports anyway."""
_PLACEHOLDER = re.compile(r"%%[A-Za-z][A-Za-z0-9_]{0,60}%%")
_ALIKE = 0.9

Report = dict[str, Any]


def read_report(text: str | None, panda_id: int) -> Report:
    """The object that a job brought. Raises InvalidInput saying what it is instead."""
    whose = f"the preprocessing job {panda_id} has finished"
    remedy = f"its program writes a JSON object to {REPORT}; our pilots leave out what is no JSON or larger than 1 MB"
    if text is None or not text.strip():
        raise InvalidInput(f"{whose}, but brought no report", field=SPEC, remedy=remedy)
    if len(text) > MAX_REPORT_BYTES:
        raise InvalidInput(f"{whose} with a report larger than 16 MB", field=SPEC, remedy=remedy)
    try:
        report = json.loads(text, parse_constant=_no_number)
        # what JSON can say and the database cannot keep
        is_storable = r"\u0000" not in json.dumps(report, allow_nan=False).replace(r"\\", "")
        json.dumps(report, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{whose}, but its report is no JSON: {str(error)[:100]}", field=SPEC, remedy=remedy
        ) from error
    if not isinstance(report, dict):
        raise InvalidInput(
            f"{whose}, but its report is no object: it begins with {text.strip()[:40]!r}", field=SPEC, remedy=remedy
        )
    if not is_storable:
        raise InvalidInput(f"{whose}, but its report holds a NUL character", field=SPEC, remedy="remove it")
    return report


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def filled_in(parameters: Mapping[str, Any], report: Report) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters of a task with what its report says, and the names of what it said of them.

    Raises InvalidInput naming the key that may not be changed, or the parameter that is still a placeholder.
    """
    placeholders = {key: value for key, value in report.items() if _PLACEHOLDER.fullmatch(key)}
    changes = _changes(report)
    used: set[str] = set()
    filled = {
        name: value if name in KEPT - _FILLED_ALL_THE_SAME else _fill(value, name, placeholders, used)
        for name, value in parameters.items()
    }
    if not used and not changes:
        raise InvalidInput(
            f"the report of the preprocessing job says nothing of the task: {', '.join(sorted(report))[:200] or 'it is empty'}",
            field=SPEC,
            remedy="its keys are placeholders of the task, as in %%INDS%%, or names of parameters",
        )
    result = {**filled, **changes}
    _check_all_filled(result)
    if is_panda_dialect(result) != is_panda_dialect(parameters):
        name = next((name for name in changes if name not in parameters), SPEC)
        raise InvalidInput("is for tasks of `panda run`", field=name, remedy="leave it out of the report")
    return result, (*sorted(used), *sorted(changes))


def _changes(report: Report) -> dict[str, Any]:
    """The parameters that a report names."""
    for name in sorted(KEPT & set(report) - _OF_REPORTS):
        raise InvalidInput(
            "cannot be changed by a preprocessing job", field=name, remedy="say it when the task is submitted"
        )
    known = KNOWN_PARAMETERS - KEPT
    changes = {name: value for name, value in report.items() if name in known or name.startswith("dsFor")}
    known_in_lower = {name.lower(): name for name in known}
    strange = [name for name in report if name not in changes and name not in _OF_REPORTS and len(name) < 40]
    for name in strange[:100]:
        near = difflib.get_close_matches(name.lower(), known_in_lower, 1, _ALIKE)
        if near and not _PLACEHOLDER.fullmatch(name):
            raise InvalidInput(
                "there is no such parameter", field=name, remedy=f"{known_in_lower[near[0]]} may be meant"
            )
    return changes


def _fill(value: Any, where: str, placeholders: Mapping[str, Any], used: set[str]) -> Any:
    """A parameter with every placeholder replaced that it holds; `used` gets their names."""
    if isinstance(value, dict):
        return {name: _fill(entry, f"{where}.{name}", placeholders, used) for name, entry in value.items()}
    if isinstance(value, list):
        return [_fill(entry, f"{where}.{position}", placeholders, used) for position, entry in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value in placeholders:
        used.add(value)
        return _whole(placeholders[value], value, where)
    return _command(value, placeholders, used) if where == "jobParameters" else value


def _whole(found: Any, placeholder: str, where: str) -> Any:
    """What takes the place of a whole value: nothing is no list of files, and would be taken for all of them."""
    if found is None or found in ("", [], {}) or (isinstance(found, list) and not any(found)):
        raise InvalidInput(
            f"the preprocessing job found nothing for {placeholder}", field=where, remedy="see the log of the job"
        )
    return found


def _command(text: str, placeholders: Mapping[str, Any], used: set[str]) -> str:
    """The command of `panda run`: within it what was found is quoted so that the shell takes it for one word."""
    state, parts, position = QuoteState(), [], 0
    for found in _PLACEHOLDER.finditer(text):
        if found.group() not in placeholders:
            continue
        literal = text[position : found.start()]
        state.read(literal)
        value = _whole(placeholders[found.group()], found.group(), "jobParameters")
        written = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        parts += [literal, state.protect(written)]
        used.add(found.group())
        position = found.end()
    return "".join([*parts, text[position:]])


def _check_all_filled(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput naming the first value that is still nothing but a placeholder."""
    for name, value in parameters.items():
        for where, placeholder in _open_placeholders(value, name) if name not in (SPEC, "cliParams") else ():
            raise InvalidInput(
                f"the preprocessing job said nothing of {placeholder}", field=where, remedy="see its log and its report"
            )


def _open_placeholders(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _open_placeholders(entry, f"{where}.{name}")
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _open_placeholders(entry, f"{where}.{position}")
    elif isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
        yield where, value
