"""Reads how the outputs of a task's jobs are to be merged (client-wire.md 4.4: mergeOutput, mergeSpec). Knows no table.

Jobs of such a task write to transient datasets, whose names and files begin with `panda.um.`; the merge jobs make what the
user named. Logs stay as they are unless the user asked for merged ones too (log_merge).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput
from core.names import UNMERGED
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import MergedStream, MergeStep, OutputStream
from core.taskengine.dialects.items import Items, read_output
from core.taskengine.dialects.quoting import QuoteState
from core.taskengine.dialects.transformations import merge_transformation

LOG_MERGE = "LOG_MERGE"
"""The stream that logs are merged into."""
DEFAULT_MERGE_BYTES = 5 * 2**30
DEFAULT_MERGE_FILES = 50
_MAX_FILES = 1000
_MAX_EVENTS = 10**12
_PLACEHOLDER = re.compile(r"\$\{(?:TRN_(?P<stream>[A-Z0-9_]+):(?P<target>[A-Z0-9_]+)|(?P<name>SURL|LIB|JEDITASKID))\}")


def merge_text(step: MergeStep, values: Mapping[str, str], merges: Mapping[str, tuple[Sequence[str], str]]) -> str:
    """The argument string of a merge job: `merges` gives for each stream of the run jobs its files and the merged one.

    `values`: what SURL, LIB and JEDITASKID stand for.
    """
    state, parts, position = QuoteState(), [], 0
    for found in _PLACEHOLDER.finditer(step.text):
        literal = step.text[position : found.start()]
        state.read(literal)
        parts += [literal, " ".join(state.protect(word) for word in _words(step, found, values, merges))]
        position = found.end()
    return "".join([*parts, step.text[position:]]).strip()


def _words(
    step: MergeStep,
    found: re.Match[str],
    values: Mapping[str, str],
    merges: Mapping[str, tuple[Sequence[str], str]],
) -> list[str]:
    """`in1,in2:out` for each stream that is meant; nothing for logs that stay as they are."""
    if found["name"]:
        return [values.get(found["name"], "")]
    is_log = found["target"] == LOG_MERGE
    chosen = [
        stream.source
        for stream in step.streams
        if _is_meant(stream.source, found["stream"]) and is_log == (stream.target.name == LOG_MERGE)
    ]
    return [f"{','.join(merges[name][0])}:{merges[name][1]}" for name in chosen if name in merges]


def _is_meant(source: str, wanted: str) -> bool:
    """TRN_OUTPUT means all outputs, TRN_OUTPUT1 one of them; TRN_LOG_MERGE the logs."""
    return source == wanted or source.rstrip("0123456789") == wanted.removesuffix("_MERGE")


def read_merge(parameters: Mapping[str, Any], outputs: Sequence[OutputStream]) -> MergeStep | None:
    """How outputs are merged; None when they stay one per job. Raises InvalidInput naming the key."""
    if not fields.flag(parameters, "mergeOutput"):
        return None
    spec = parameters.get("mergeSpec")
    if not isinstance(spec, dict):
        raise InvalidInput(
            "not an object", field="mergeSpec", remedy="jobParameters, and transPath if it is not runMerge"
        )
    text = fields.text(spec, "jobParameters", "mergeSpec.jobParameters", limit=2**20)
    if not _PLACEHOLDER.search(text) or "${TRN_" not in text:
        raise InvalidInput(
            "names nothing to merge", field="mergeSpec.jobParameters", remedy="put ${TRN_OUTPUT:OUTPUT} into it"
        )
    streams = [MergedStream(stream.name, stream) for stream in outputs if stream.kind == "output"]
    if not streams:
        raise InvalidInput("there is no output to merge", field="mergeOutput", remedy="name outputs, or leave it out")
    return MergeStep(
        transformation=merge_transformation(fields.text(spec, "transPath", "mergeSpec.transPath", limit=2000)),
        text=text,
        streams=(*streams, *_merged_logs(parameters, outputs)),
        max_files=fields.positive(parameters, "nFilesPerMergeJob", _MAX_FILES) or DEFAULT_MERGE_FILES,
        max_bytes=fields.gigabytes(parameters, "nGBPerMergeJob") or DEFAULT_MERGE_BYTES,
        max_events=fields.positive(parameters, "nEventsPerMergeJob", _MAX_EVENTS),
    )


def _merged_logs(parameters: Mapping[str, Any], outputs: Sequence[OutputStream]) -> list[MergedStream]:
    item = parameters.get("log_merge")
    log = next((stream for stream in outputs if stream.kind == "log"), None)
    if item is None or log is None:
        return []
    if not isinstance(item, dict):
        raise InvalidInput("not an object", field="log_merge", remedy="a template item with dataset and value")
    return [MergedStream(log.name, read_output(item, "output", LOG_MERGE, "log_merge"))]


def write_unmerged(items: Items) -> None:
    """Let the run jobs of `items` write transient files: outputs and wherever the text names them. Logs are left alone."""
    templates = [stream.template for stream in items.outputs if stream.kind == "output"]
    items.outputs = [_unmerged(stream) if stream.kind == "output" else stream for stream in items.outputs]
    names = re.compile("|".join(re.escape(name) for name in sorted(templates, key=len, reverse=True)))
    items.segments = [
        replace(segment, text=names.sub(lambda found: UNMERGED + found.group(), segment.text))
        for segment in items.segments
    ]


def _unmerged(stream: OutputStream) -> OutputStream:
    return replace(
        stream,
        dataset=UNMERGED + stream.dataset,
        container=UNMERGED + stream.container,
        template=UNMERGED + stream.template,
    )
