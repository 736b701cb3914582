"""What every error code means: one table of (component, code), names and sentences. Knows no job and no SQL.

The same number means different things in different components, so a code is always looked up as a pair
(domain.md 10.4).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class ErrorCode:
    """One known error: its PanDA name and one sentence for people."""

    component: str
    code: int
    name: str
    description: str


# domain.md 10.4 and server-api.md 5.5; transitions that set them are in domain.md 2.3
_SERVER_CODES = (
    ErrorCode("sup", 1, "INVALIDBATCHID", "Another batch job reported for this job"),
    ErrorCode("sup", 2, "WORKERDONE", "The worker had ended before the job did"),
    ErrorCode("ddm", 100, "SETUPPER", "The input could not be set up in the data service"),
    ErrorCode("ddm", 101, "GUIDLOOKUP", "The file identifiers could not be looked up"),
    ErrorCode("ddm", 200, "ADDER", "The outputs could not be accounted for"),
    ErrorCode("ddm", 201, "SUBSCRIPTION", "The transfer could not be requested"),
    ErrorCode("ddm", 203, "LOCATION", "The outputs could not be placed"),
    ErrorCode("ddm", 204, "MISSINGEVENTS", "The number of events of an output is missing"),
    ErrorCode("ddm", 205, "INCONSISTENTGUID", "An output has another identifier than the job asked for"),
    ErrorCode("ddm", 206, "STORAGEENDPOINT", "An output is at an unknown storage endpoint"),
    ErrorCode("brokerage", 100, "NOCANDIDATE", "No queue can run the job"),
    ErrorCode("brokerage", 101, "UNKNOWNQUEUE", "The requested queue does not exist"),
    ErrorCode("brokerage", 102, "BROKERAGEFAILED", "Brokerage met an error of the system"),
    ErrorCode("job_dispatcher", 100, "LOSTHEARTBEAT", "The pilot was not heard of any more (lost heartbeat)"),
    ErrorCode("job_dispatcher", 101, "RECOVERYFAILED", "The job failed and its outputs could not be recovered in time"),
    ErrorCode("job_dispatcher", 102, "SENTTIMEOUT", "The pilot took the job and never reported"),
    ErrorCode("job_dispatcher", 103, "HOLDINGTIMEOUT", "The outputs were not accounted for in time"),
    ErrorCode("job_dispatcher", 104, "TRANSFERRINGTIMEOUT", "The outputs did not reach their destination in time"),
    ErrorCode("job_dispatcher", 105, "OTHER", "The server ended the job"),
    ErrorCode("task_buffer", 100, "KILLED", "Killed on request"),
    ErrorCode("task_buffer", 101, "TRANSFERTIMEOUT", "The transfer took too long"),
    ErrorCode("task_buffer", 102, "EXPIRED", "Expired: it waited too long"),
    ErrorCode("task_buffer", 103, "ABORTED", "Aborted"),
    ErrorCode("task_buffer", 105, "REASSIGNED", "Given to another queue"),
    ErrorCode("task_buffer", 106, "RETRIED", "Retried by the server"),
    ErrorCode("task_buffer", 107, "PILOTRETRIED", "Retried by the pilot"),
    ErrorCode("task_buffer", 111, "ESRETRIED", "Event service: the remaining events went to a new job"),
    ErrorCode("task_buffer", 112, "ESMERGE", "Event service: the outputs are being merged"),
    ErrorCode("task_buffer", 113, "ESMERGEFAILED", "Event service: merging failed"),
    ErrorCode("task_buffer", 114, "ESMAXATTEMPTS", "Event service: the attempts are used up"),
    ErrorCode("task_buffer", 115, "ESWAITING", "Event service: waiting for other jobs"),
    ErrorCode("task_buffer", 116, "ESUNUSED", "Event service: the job got no events"),
    ErrorCode("task_buffer", 117, "ESUNPROCESSED", "Event service: the job processed no events"),
    ErrorCode("task_buffer", 118, "ESLASTUNPROCESSED", "Event service: the last job processed no events"),
    ErrorCode("task_buffer", 119, "ESALLFAILED", "Event service: all events failed"),
    ErrorCode("task_buffer", 120, "ESCONSUMERS", "Event service: ended with its consumers"),
    ErrorCode("task_buffer", 121, "ESCONSUMERSFAILED", "Event service: its consumers failed"),
    ErrorCode("task_buffer", 122, "ESPREEMPTED", "Event service: preempted"),
    ErrorCode("task_buffer", 123, "ESNOEVENT", "Event service: no event was left"),
    ErrorCode("task_buffer", 124, "ESINCONSISTENTINPUT", "Event service: the input is inconsistent"),
    ErrorCode("task_buffer", 125, "ESNOQUEUE", "Event service: no queue can run it"),
    ErrorCode("task_buffer", 126, "ESBADSTATE", "Event service: the job was in a wrong state"),
    ErrorCode("task_buffer", 130, "FASTREBROKERAGE", "Taken from an overloaded queue"),
    ErrorCode("task_buffer", 200, "CLONING", "Another copy of the job was faster"),
    ErrorCode("task_buffer", 300, "WORKERDONE", "The worker finished without an update of the job"),
)


@cache
def known_error_codes() -> dict[tuple[str, int], ErrorCode]:
    """All known codes by (component, code): the pilot's from the csv file, the server's from the table above."""
    path = Path(__file__).with_name("pilot_error_codes.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        pilot = [ErrorCode("pilot", int(row["code"]), row["name"], row["description"]) for row in csv.DictReader(lines)]
    return {(error.component, error.code): error for error in (*pilot, *_SERVER_CODES)}


def error_name(component: str, code: int) -> str:
    """The PanDA name of a code, or an empty string when it is not in the table (exit codes of payloads never are)."""
    known = _known(component, code)
    return known.name if known else ""


def error_description(component: str, code: int) -> str:
    """One sentence on what the code means; for unknown codes a sentence that says just the numbers."""
    known = _known(component, code)
    if known:
        return known.description
    return f"The payload ended with exit code {code}" if component == "trans" else f"{component} error {code}"


def _known(component: str, code: int) -> ErrorCode | None:
    """Pilots turn the sign of a stage-out error that a later attempt may recover from (pilot-wire.md 7)."""
    return known_error_codes().get((component, abs(code) if component == "pilot" else code))
