"""Reads the parameter dictionary of PanDA's clients (client-wire.md 4.4) into a definition. Knows no table.

Keys it does not know are kept with the others and mean nothing; what cannot be done here is refused with its name, or,
where leaving it out costs the user nothing but comfort, told in the notes of the definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput
from core.names import ANY_QUEUE
from core.taskengine.dialects import fields
from core.taskengine.dialects.arrival import arrival
from core.taskengine.dialects.definition import (
    PFN_DATASET,
    PSEUDO_DATASET,
    BuildStep,
    InputStream,
    SplitRule,
    TaskDefinition,
)
from core.taskengine.dialects.goals import ending
from core.taskengine.dialects.items import Items, read_items
from core.taskengine.dialects.merging import read_merge, write_unmerged
from core.taskengine.dialects.needs import ram_count, ram_unit, read_needs
from core.taskengine.dialects.ordering import notes_on_order, ordered
from core.taskengine.dialects.preprocessing import notes_on_preprocessing, read_preprocessing
from core.taskengine.dialects.scouting import scout_success_rate, uses_scouts
from core.taskengine.dialects.sizes import MAX_JOBS, notes_on_sizes, read_split
from core.taskengine.dialects.templates import check_placeholders
from core.taskengine.dialects.transformations import BUILD_ATHENA, BUILD_GEN, run_transformation
from core.taskengine.dialects.unsupported import notes, refuse_unsupported

MAX_NAME_BYTES = 240
"""Leaves room for the number and the kind that make the names of datasets."""
HIGHEST_USER_PRIORITY = 1100
"""What the client lets a user ask for; more would jump ahead of others."""
_HOUSE_KEYS = ("inputDataset", "sandboxDataset", "outputs", "nJobs")
_FLAGS = (
    *("uniqueTaskName", "noInput", "noEmail", "skipScout", "messageDriven", "respectSplitRule", "respectLB"),
    *("osMatching", "noWaitParent", "disableAutoRetry", "official", "noLoopingCheck", "avoidVP", "useSecrets"),
    *("debugMode", "useRealNumEvents", "skipEmptyInput", "reuseSecOnDemand", "useLocalIO", "useFileAsSourceLFN"),
)


def is_panda_dialect(parameters: Mapping[str, Any]) -> bool:
    """Whether the dictionary comes from PanDA's clients: a list of items, and none of the keys of `panda run`."""
    given = parameters.get("jobParameters")
    is_list_of_items = isinstance(given, list) and all(isinstance(item, dict) for item in given)
    return is_list_of_items and not any(parameters.get(key) for key in _HOUSE_KEYS)


def read_parameters(parameters: Mapping[str, Any], *, is_production: bool = False) -> TaskDefinition:
    """The definition of a task. Raises InvalidInput naming the key that is wrong, contradictory or not built."""
    refuse_unsupported(parameters)
    for name in _FLAGS:
        fields.flag(parameters, name)
    items = read_items(parameters)
    merge = read_merge(parameters, items.outputs)
    if merge is not None:
        write_unmerged(items)
    needs = read_needs(parameters)
    split = read_split(parameters, needs)
    inputs = _inputs(parameters, items, split)
    split = replace(split, crosses_datasets="consolidate" in inputs[0].attributes)
    inputs = (ordered(parameters, inputs[0], split), *inputs[1:])
    processing_type = fields.text(parameters, "processingType", limit=200)
    preprocess = read_preprocessing(parameters, processing_type)
    fields_of_name, of_file = _middle_name(parameters)
    retries_by_itself = not fields.flag(parameters, "disableAutoRetry")
    attempts = fields.number(parameters, "maxAttempt", (1, 50), default=10) or 10
    return TaskDefinition(
        name=task_name(parameters),
        vo=fields.text(parameters, "vo", limit=64),
        label=fields.text(parameters, "prodSourceLabel", limit=64) or "user",
        command=items.command(inputs),
        transformation=run_transformation(processing_type, fields.text(parameters, "transPath")),
        inputs=inputs,
        outputs=tuple(items.outputs),
        split=split,
        needs=needs,
        processing_type=processing_type,
        working_group=fields.text(parameters, "workingGroup", limit=64),
        country_group=fields.text(parameters, "countryGroup", limit=64),
        priority=priority_of(parameters, is_production=is_production),
        site=_site(parameters),
        max_attempt=attempts if retries_by_itself else 1,
        max_failure=(fields.number(parameters, "maxFailure", (1, 50), default=3) or 3) if retries_by_itself else 1,
        container_name=fields.text(parameters, "container_name", limit=2000),
        special_handling="debug" if fields.flag(parameters, "debugMode") else "",
        source_url=fields.text(parameters, "sourceURL", limit=2000),
        middle_fields=fields_of_name,
        middle_of_file=of_file,
        reuses_on_demand=fields.flag(parameters, "reuseSecOnDemand"),
        skips_files_of=_task_ids(parameters, "skipFilesUsedBy"),
        **arrival(parameters),
        preprocess=preprocess,
        build=_build(parameters, processing_type),
        merge=merge,
        uses_scouts=uses_scouts(parameters, by_default=True),
        scout_success_rate=scout_success_rate(parameters),
        **ending(parameters),
        ram_count=ram_count(parameters),
        ram_unit=ram_unit(parameters),
        cpu_time_unit=fields.text(parameters, "cpuTimeUnit", limit=40),
        notes=(
            *notes(parameters),
            *notes_on_sizes(parameters, split),
            *notes_on_order(parameters, inputs),
            *notes_on_preprocessing(preprocess),
        ),
    )


def task_name(parameters: Mapping[str, Any]) -> str:
    """The name of a task, which is also where the names of its datasets come from."""
    name = fields.text(parameters, "taskName")
    if not name.strip("/"):
        raise InvalidInput("missing", field="taskName", remedy="every task has a name")
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES or any(ord(character) < 32 for character in name):
        raise InvalidInput(
            f"longer than {MAX_NAME_BYTES} bytes or with control characters", field="taskName", remedy="shorten it"
        )
    return name


def priority_of(parameters: Mapping[str, Any], *, is_production: bool) -> int:
    """1000, or what was asked for within the user's own range; production sets what it wants (client-wire.md 4.3)."""
    limits = (-1_000_000, 1_000_000)
    own = fields.number(parameters, "currentPriority", limits)
    set_by_production = fields.number(parameters, "taskPriority", limits) if is_production else None
    wanted = own if own is not None else set_by_production
    if wanted is None:
        return 1000
    return wanted if is_production else min(wanted, HIGHEST_USER_PRIORITY)


def check_sites_agree(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput when site, includedSite and excludedSite contradict each other."""
    _site(parameters)


def _site(parameters: Mapping[str, Any]) -> str:
    """One queue; several in one text are read as includedSite by brokerage."""
    sites = tuple(site for site in fields.names(parameters, "site") if site != ANY_QUEUE)
    included, excluded = fields.names(parameters, "includedSite"), fields.names(parameters, "excludedSite")
    for site in (*sites, *included):
        if site in excluded:
            raise InvalidInput(f"{site!r} is asked for too", field="excludedSite", remedy="take it out of one of them")
    if len(sites) == 1 and included and sites[0] not in included:
        raise InvalidInput(f"{sites[0]!r} is not among includedSite", field="site", remedy="leave one of them out")
    return sites[0] if len(sites) == 1 else ""


def _inputs(parameters: Mapping[str, Any], items: Items, split: SplitRule) -> tuple[InputStream, ...]:
    """All input streams, the master first."""
    streams = [_with_later_datasets(parameters, stream) for stream in items.inputs]
    pfns = _pfns(parameters)
    if pfns:
        given = InputStream("IN", "pseudo_input", (PFN_DATASET,), "pfnList", pfns=pfns)
        return (given, *(stream for stream in streams if stream.name != "IN"))
    data = [stream for stream in streams if stream.kind == "input" and not stream.is_whole]
    if data and not fields.flag(parameters, "noInput"):
        return (data[0], *(stream for stream in streams if stream is not data[0]))
    numbers = [stream for stream in streams if stream.kind == "pseudo_input"]
    master = numbers[0] if numbers else InputStream("PSEUDO", "pseudo_input", (PSEUDO_DATASET,), "nEvents", offset=1)
    # a second stream without a rule goes to every job as a whole when there is no first one to count by
    rest = [
        replace(stream, is_whole=True)
        if stream.kind == "input" and not (stream.files_per_job or stream.ratio)
        else stream
        for stream in streams
        if stream is not master
    ]
    return (replace(master, numbers=_number_of_jobs(split)), *rest)


def _with_later_datasets(parameters: Mapping[str, Any], stream: InputStream) -> InputStream:
    """dsFor<STREAM> adds datasets when a task is executed again (client-wire.md 4.5)."""
    more = fields.names(parameters, f"dsFor{stream.name}")
    return replace(stream, datasets=tuple(dict.fromkeys((*stream.datasets, *more)))) if more else stream


def _pfns(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    value = parameters.get("pfnList")
    if value is None or value == []:
        return ()
    pfns = fields.names({"pfnList": value}, "pfnList", limit=200_000)
    for position, pfn in enumerate(pfns):
        if len(pfn) > 4000 or not pfn.isprintable():
            raise InvalidInput("no place of a file", field=f"pfnList.{position}", remedy="a path or URL")
    return pfns


def _number_of_jobs(split: SplitRule) -> int:
    """Without input: nEvents / nEventsPerJob (client-wire.md 4.4)."""
    field, count, remedy = "nFiles", split.max_files or 1, "lower it"
    if split.max_events:
        field, remedy = "nEvents", "raise nEventsPerJob"
        count = -(-split.max_events // (split.events_per_job or split.max_events))
    if count > MAX_JOBS:
        raise InvalidInput(f"makes {count} jobs", field=field, remedy=f"at most {MAX_JOBS}: {remedy}")
    return count


def _middle_name(parameters: Mapping[str, Any]) -> tuple[tuple[int, ...], bool]:
    wanted = parameters.get("addNthFieldToLFN")
    given = fields.names({"addNthFieldToLFN": str(wanted) if isinstance(wanted, int) else wanted}, "addNthFieldToLFN")
    if not all(part.isdecimal() and 0 < int(part[:4]) < 1000 and len(part) < 4 for part in given):
        raise InvalidInput("not field numbers", field="addNthFieldToLFN", remedy="as in 2,3; the first field is 1")
    return tuple(int(part) for part in given), fields.flag(parameters, "useFileAsSourceLFN")


def _task_ids(parameters: Mapping[str, Any], name: str) -> tuple[int, ...]:
    value = parameters.get(name)
    if isinstance(value, list):
        value = ",".join(str(part) for part in value)
    given = fields.names({name: str(value) if isinstance(value, int) else value}, name, limit=100)
    if not all(part.isdecimal() and len(part) < 19 for part in given):
        raise InvalidInput("not task ids", field=name, remedy="numbers with commas between")
    return tuple(int(part) for part in given)


def _build(parameters: Mapping[str, Any], processing_type: str) -> BuildStep | None:
    spec = parameters.get("buildSpec")
    if spec is None:
        return None
    if not isinstance(spec, dict):
        raise InvalidInput("not an object", field="buildSpec", remedy="archiveName and jobParameters")
    if spec.get("tarBallViaDDM"):
        raise InvalidInput(
            "sandboxes travel through the cache only", field="buildSpec.tarBallViaDDM", remedy="leave it out"
        )
    text = fields.text(spec, "jobParameters", "buildSpec.jobParameters", limit=2**20)
    check_placeholders(text, "buildSpec.jobParameters")
    archive = fields.text(spec, "archiveName", "buildSpec.archiveName", limit=1000)
    if not archive:
        raise InvalidInput("missing", field="buildSpec.archiveName", remedy="the archive with the sources")
    return BuildStep(
        label=fields.text(spec, "prodSourceLabel", "buildSpec.prodSourceLabel", limit=64) or "panda",
        archive=archive,
        text=text,
        transformation=BUILD_ATHENA if "athena" in processing_type.split("-") else BUILD_GEN,
    )
