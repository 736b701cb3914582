"""What is looked at only when a task comes in: keys that nobody obeys, and what contradicts without being impossible.

Tasks that were taken once keep their parameters, and engines add their own: none of this is asked again. PanDA's clients send
keys that mean nothing here, so an unknown one is only told of, and only if it is nearly a known one; `panda run` is ours,
and what it would overlook is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskbuffer.submission import JOB_LIMITS
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.execution import check_steps
from core.taskengine.dialects.house import RUN_SHELL, ShellCommand
from core.taskengine.dialects.panda import check_sites_agree
from core.taskengine.dialects.split_rules import SPLIT_RULE_TAGS

_RULES_IN_SHORT = "splitRule"
_ALIKE = 0.9
"""One letter too many or too few in a short key, two in a long one."""

_COMMON = (
    *("taskName", "jobParameters", "vo", "prodSourceLabel", "processingType", "workingGroup", "site", "transPath"),
    *("ramCount", "ramCountUnit", "coreCount", "maxWalltime", "maxAttempt", "maxFailure", "taskPriority", "goal"),
    *("skipScout", "useScout", "scoutSuccessRate", "includedSite", "excludedSite", "campaign", "uniqueTaskName"),
    *(
        "preproSpec",
        "disableAutoFinish",
        "noEmail",
        "allowPartialFinish",
        "failWhenGoalUnreached",
        "useExhausted",
        "architecture",
        "nucleus",
        "countryGroup",
    ),
)
_HOUSE = (
    "inputDataset",
    "inputFiles",
    "sandboxDataset",
    "outputs",
    "nJobs",
    "nFilesPerJob",
    "maxDiskCount",
    "loopingLimit",
)
_PANDA = (
    *(
        "nFiles",
        "nEvents",
        "nEventsPerFile",
        "nEventsPerInputFile",
        "tgtNumEventsPerJob",
        "noInput",
        "pfnList",
        "skipFilesUsedBy",
        "buildSpec",
    ),
    *("mergeSpec", "log", "log_merge", "maxCoreCount", "baseRamCount", "retryRamMax", "outDiskCount", "outDiskUnit"),
    *("workDiskCount", "workDiskUnit", "cpuTime", "cpuTimeUnit", "cpuEfficiency", "baseWalltime", "ioIntensity"),
    *("ioIntensityUnit", "diskIO", "currentPriority", "skipEmptyInput", "sourceURL", "multiStepExec", "container_name"),
    *SPLIT_RULE_TAGS.values(),
)
_MEANT_AS_THEY_ARE = ("maxAttemptES", "loopingCheck", "meanCoreCount")
"""Keys of PanDA that mean nothing here, for all that they look like others."""
_ONLY_PANDA = (
    *("respectLB", "groupBoundaryID", "tgtMaxOutputForNG", "nEventsPerInputFile"),
    *("nEventsPerJob", "nGBPerJob", "tgtNumEventsPerJob", "nMaxFilesPerJob", "maxEventsPerJob", "nEventsPerFile"),
    *("nFiles", "nEvents", "maxNumJobs", "totNumJobs", "noInput", "pfnList", "skipFilesUsedBy", "addNthFieldToLFN"),
    *(
        "buildSpec",
        "mergeOutput",
        "mergeSpec",
        "outDiskCount",
        "workDiskCount",
        "cpuTime",
        "baseRamCount",
        "baseWalltime",
    ),
)
"""Of these `panda run` would make other jobs than they say."""
KNOWN_PARAMETERS = frozenset(
    {
        *_COMMON,
        *_HOUSE,
        *_PANDA,
        *(
            "skipEmptyInput",
            "noWaitParent",
            "reuseSecOnDemand",
            "useFileAsSourceLFN",
            "addNthFieldToLFN",
            "noLoopingCheck",
        ),
        *("allowEmptyInput", "waitInput", "runUntilClosed", "ignoreMissingInDS", "disableAutoRetry", "debugMode"),
    }
)
"""Every parameter that means something here."""


def check_at_door(parameters: Mapping[str, Any], definition: TaskDefinition) -> tuple[str, ...]:
    """Raise InvalidInput naming the key of a new task that cannot be meant; returns what its owner should be told."""
    _refuse_rules_in_short(parameters)
    for name in ("retryRamOffset", "retryRamStep", "retryRamMax"):
        _check_memory(parameters, name)
    if isinstance(definition.command, ShellCommand):
        _check_house(parameters, definition, definition.command)
        return ()
    _check_panda(parameters)
    return tuple(
        f"{name[:60]}: there is no such parameter, {meant} may be meant"
        for name, meant in _misspelt(parameters, (*_COMMON, *_PANDA))
    )


def _check_memory(parameters: Mapping[str, Any], name: str) -> None:
    """MB, or a factor, as number or text."""
    value = parameters.get(name)
    if value is None or value == "":
        return
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    most = JOB_LIMITS["minRamCount"][1]
    if not 0 <= number <= most:
        raise InvalidInput(f"{str(value)[:50]!r} will not do", field=name, remedy=f"a number between 0 and {most}")


_TEXTS = ("architecture", "transUses", "transHome", "transferType", "cliParams")
"""What is compared or shown as text, and was left out if it were something else."""


def _check_panda(parameters: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        fields.text(parameters, name, limit=2**20)
    check_steps(parameters)


def _check_house(parameters: Mapping[str, Any], definition: TaskDefinition, command: ShellCommand) -> None:
    for name in _ONLY_PANDA:
        if parameters.get(name):
            raise InvalidInput(
                "is for tasks whose jobParameters are a list of items",
                field=name,
                remedy="leave it out; nFilesPerJob and nJobs say how such a task is cut",
            )
    for name, meant in _misspelt(parameters, (*_COMMON, *_HOUSE)):
        raise InvalidInput("there is no such parameter", field=name[:60], remedy=f"{meant} may be meant")
    for name, limit in (("vo", 64), ("processingType", 200), ("workingGroup", 64)):
        fields.text(parameters, name, limit=limit)
    check_sites_agree(parameters)
    has_input = bool(parameters.get("inputDataset"))
    if parameters.get("nFilesPerJob") and not has_input:
        raise InvalidInput("there are no files", field="nFilesPerJob", remedy="leave it out, or name an inputDataset")
    if command.names_input and not has_input:
        raise InvalidInput(
            "%IN stands for nothing", field="jobParameters", remedy="name an inputDataset, or write %%IN for the word"
        )
    if not command.text.strip() and definition.transformation == RUN_SHELL:
        raise InvalidInput("there is nothing to run", field="jobParameters", remedy="send the command as text")


def _refuse_rules_in_short(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput for rules as codes (`NF=3`), which a task is given by name."""
    given = parameters.get(_RULES_IN_SHORT)
    if given in (None, "", [], {}):
        return
    codes = [part.partition("=")[0].strip() for part in str(given)[:1000].split(",")]
    known = [f"{SPLIT_RULE_TAGS[code]} for {code}" for code in codes if code in SPLIT_RULE_TAGS]
    unknown = next((code for code in codes if code not in SPLIT_RULE_TAGS), None)
    raise InvalidInput(
        "rules are not given by code" if unknown is None else f"there is no rule {unknown[:40]!r}",
        field=_RULES_IN_SHORT,
        remedy="give parameters by name" + (f": {', '.join(known)}" if known else ", as in nFilesPerJob"),
    )


def _misspelt(parameters: Mapping[str, Any], known: tuple[str, ...]) -> list[tuple[str, str]]:
    """Keys with a value that nobody reads, and the known one that is nearly the same. Bounded: there may be thousands."""
    every_key = {*_COMMON, *_HOUSE, *_PANDA, *_MEANT_AS_THEY_ARE}
    strange = [
        name for name, value in parameters.items() if name not in every_key and value is not None and len(name) < 40
    ]
    found = []
    for name in strange[:100]:
        near = difflib.get_close_matches(name.lower(), [entry.lower() for entry in known], 1, _ALIKE)
        if near:
            found.append((name, next(entry for entry in known if entry.lower() == near[0])))
    return found
