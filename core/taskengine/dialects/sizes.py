"""How input is cut into jobs, in PanDA's keys (domain.md 3.4): sizes, limits beside them, boundaries. Knows keys only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import DEFAULT_MAX_FILES_PER_JOB, MAX_FILES_PER_JOB, Needs, SplitRule

MAX_NUMBER = 10**12
MAX_FILES = 10**9
MAX_JOBS = 2_000_000
"""Of one task that says how many."""
_APART, _WHOLE = (1, 2), (3, 4)
"""groupBoundaryID: a boundary may be cut into several jobs, or goes into one as a whole; 2 and 4 also map outputs."""
_OTHER_SIZES = ("nFilesPerJob", "nGBPerJob", "tgtNumEventsPerJob", "nMaxFilesPerJob", "maxEventsPerJob")


def read_split(parameters: Mapping[str, Any], needs: Needs) -> SplitRule:
    """The rule by which input is cut. Raises InvalidInput naming the key that is wrong or contradicts another."""
    limits = [fields.positive(parameters, name, MAX_JOBS) for name in ("maxNumJobs", "totNumJobs")]
    rule = SplitRule(
        events_per_job=fields.positive(parameters, "nEventsPerJob", MAX_NUMBER),
        files_per_job=fields.positive(parameters, "nFilesPerJob", MAX_FILES_PER_JOB),
        bytes_per_job=fields.gigabytes(parameters, "nGBPerJob"),
        target_events=fields.positive(parameters, "tgtNumEventsPerJob", MAX_NUMBER),
        max_files_per_job=fields.positive(parameters, "nMaxFilesPerJob", MAX_FILES_PER_JOB)
        or DEFAULT_MAX_FILES_PER_JOB,
        max_jobs=min((limit for limit in limits if limit), default=None),
        max_files=fields.positive(parameters, "nFiles", MAX_FILES),
        max_events=fields.positive(parameters, "nEvents", MAX_NUMBER),
        events_per_file=_events_per_file(parameters),
        max_events_per_job=fields.positive(parameters, "maxEventsPerJob", MAX_NUMBER),
        skips_empty_files=fields.flag(parameters, "skipEmptyInput"),
    )
    if rule.max_events_per_job and (rule.events_per_job or 0) > rule.max_events_per_job:
        raise InvalidInput(
            f"nEventsPerJob {rule.events_per_job} is more", field="maxEventsPerJob", remedy="leave one of them out"
        )
    return _with_boundaries(parameters, _with_outputs(parameters, rule, needs))


def _events_per_file(parameters: Mapping[str, Any]) -> int | None:
    """`nEventsPerInputFile` (of the rule: `nEventsPerInput`) is production's name of `nEventsPerFile`; it says no more where
    real numbers are asked for."""
    names = ("nEventsPerFile", "nEventsPerInputFile", "nEventsPerInput")
    stated, *of_production = [fields.positive(parameters, name, MAX_NUMBER) for name in names]
    return stated or (None if fields.flag(parameters, "useRealNumEvents") else next(filter(None, of_production), None))


def _with_outputs(parameters: Mapping[str, Any], rule: SplitRule, needs: Needs) -> SplitRule:
    return replace(
        rule,
        max_output_bytes=fields.gigabytes(parameters, "tgtMaxOutputForNG"),
        output_bytes_per_event=needs.disk_kb_per_event * 1000,
        output_bytes_per_input_mb=needs.disk_kb_per_input_mb * 1000,
    )


def _with_boundaries(parameters: Mapping[str, Any], rule: SplitRule) -> SplitRule:
    mode = fields.number(parameters, "groupBoundaryID", (0, 4), default=0)
    if mode in _WHOLE and rule.events_per_job:
        raise InvalidInput(
            f"nEventsPerJob would cut a boundary, which {mode} keeps whole",
            field="groupBoundaryID",
            remedy="1 lets a boundary be cut into several jobs",
        )
    is_kept = mode in (*_APART, *_WHOLE) or fields.flag(parameters, "respectLB")
    return replace(rule, keeps_boundaries=is_kept, keeps_boundaries_whole=mode in _WHOLE)


def notes_on_sizes(parameters: Mapping[str, Any], rule: SplitRule) -> tuple[str, ...]:
    """What of the rule cannot be obeyed as it stands, one sentence each, for the owner."""
    notes = []
    if rule.keeps_boundaries_whole:
        others = [name for name in _OTHER_SIZES if parameters.get(name)]
        notes += [f"{name}: means nothing, for groupBoundaryID keeps every boundary whole" for name in others]
    if fields.number(parameters, "groupBoundaryID", (0, 4), default=0) in (2, 4):
        notes.append("groupBoundaryID: outputs are not mapped to the boundary of their input")
    if rule.max_output_bytes and not rule.bytes_per_job:
        notes.append("tgtMaxOutputForNG: means something beside nGBPerJob only")
    return tuple(notes)
