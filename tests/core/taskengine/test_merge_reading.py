"""What prun says of merging is read into a step: transient names for the run jobs, the user's own for the merge jobs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.errors import InvalidInput
from core.taskengine.dialects.merging import merge_text
from core.taskengine.dialects.panda import read_parameters
from tests.core.taskengine.submitting import captured

TEMPLATE = "user.testuser.$JEDITASKID._${SN/P}.out.txt"


def read(**changes: Any):  # type: ignore[no-untyped-def]
    return read_parameters(captured("merge", **changes))


def with_two_outputs() -> dict[str, Any]:
    parameters = captured("merge")
    items = parameters["jobParameters"]
    output = next(item for item in items if item.get("param_type") == "output")
    second = copy.deepcopy(output)
    second.update(dataset="user.testuser.merge_b.txt/", container="", value="user.testuser.$JEDITASKID._${SN/P}.b.txt")
    items.append(second)
    return parameters


def test_run_jobs_write_transient_files_and_their_text_says_so():
    definition = read()
    (output,) = [stream for stream in definition.outputs if stream.kind == "output"]
    assert (output.template, output.dataset) == (f"panda.um.{TEMPLATE}", "panda.um.user.testuser.merge_out.txt")
    shown = "".join(segment.text for segment in definition.command.segments)
    assert f"'panda.um.{TEMPLATE}'" in shown


def test_the_log_of_a_run_job_keeps_its_name():
    (log,) = [stream for stream in read().outputs if stream.kind == "log"]
    assert log.dataset == "user.testuser.merge.log"


def test_the_merge_job_makes_what_the_user_named():
    step = read().merge
    assert [(stream.source, stream.target.template, stream.target.dataset) for stream in step.streams] == [
        ("OUTPUT0", TEMPLATE, "user.testuser.merge_out.txt")
    ]
    assert step.transformation == "runMerge-00-00-02"


def test_the_argument_string_of_a_merge_job_lists_inputs_and_output_of_each_stream():
    step = read_parameters(with_two_outputs()).merge
    merges = {"OUTPUT0": (["a1", "a2"], "a"), "OUTPUT1": (["b1", "b2"], "b")}
    text = merge_text(step, {"SURL": "http://here"}, merges)
    assert text == "-r . -a jobO.captured.tar.gz --sourceURL http://here a1,a2:a b1,b2:b"


def test_a_stream_without_files_is_left_out():
    step = read_parameters(with_two_outputs()).merge
    assert merge_text(step, {"SURL": "u"}, {"OUTPUT1": (["b1"], "b")}).endswith("--sourceURL u b1:b")


def test_merged_logs_are_one_more_stream():
    log = {"dataset": "user.testuser.merge.merge_log/", "param_type": "output", "mergeOnly": True, "type": "template"}
    spec = {"jobParameters": "${TRN_OUTPUT:OUTPUT} ${TRN_LOG_MERGE:LOG_MERGE}"}
    step = read(log_merge={**log, "value": "x.${SN}.merge_log.tgz"}, mergeSpec=spec).merge
    merges = {"OUTPUT0": (["a1"], "a"), "LOG0": (["l1", "l2"], "l")}
    assert merge_text(step, {}, merges) == "a1:a l1,l2:l"


def test_limits_of_a_merge_job():
    step = read(nFilesPerMergeJob=7, nGBPerMergeJob=2, nEventsPerMergeJob=1000).merge
    assert (step.max_files, step.max_bytes, step.max_events) == (7, 2 * 2**30, 1000)
    usual = read(nGBPerMergeJob="MAX").merge
    assert (usual.max_files, usual.max_bytes, usual.max_events) == (50, 5 * 2**30, None)


def test_without_merging_nothing_changes():
    definition = read(mergeOutput=False)
    assert definition.merge is None
    assert definition.outputs[0].template == TEMPLATE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mergeSpec": None}, "mergeSpec"),
        ({"mergeSpec": {"jobParameters": "-r ."}}, "mergeSpec.jobParameters"),
        ({"mergeSpec": {"jobParameters": 7}}, "mergeSpec.jobParameters"),
        (
            {"mergeSpec": {"jobParameters": "${TRN_OUTPUT:OUTPUT}", "transPath": "ftp://x"}},
            "mergeSpec.transPath",
        ),
        ({"nFilesPerMergeJob": -1}, "nFilesPerMergeJob"),
        ({"nGBPerMergeJob": "many"}, "nGBPerMergeJob"),
        ({"nEventsPerMergeJob": "x"}, "nEventsPerMergeJob"),
        ({"log_merge": "x"}, "log_merge"),
        ({"log_merge": {"value": "x"}}, "log_merge.dataset"),
        ({"mergeOutput": "perhaps"}, "mergeOutput"),
    ],
)
def test_a_wish_that_makes_no_sense_names_its_key(changes, field):
    with pytest.raises(InvalidInput) as refused:
        read(**changes)
    assert refused.value.field == field
    assert refused.value.remedy


def test_merging_without_an_output_is_refused():
    parameters = captured("merge")
    parameters["jobParameters"] = [item for item in parameters["jobParameters"] if item.get("param_type") != "output"]
    with pytest.raises(InvalidInput) as refused:
        read_parameters(parameters)
    assert refused.value.field == "mergeOutput"
