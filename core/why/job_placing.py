"""Statements about jobs on their way to a queue and its input to them: defined and assigned."""

from __future__ import annotations

from typing import Any

from core.states import JobStatus
from core.why.job_case import NAMED_FILES, JobCase
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.wording import are, counted, duration_words, named

_RESPONSIBLE_FOR = {
    **dict.fromkeys(("input", "io", "space"), Responsible.DATA),
    **dict.fromkeys(("status", "nopilot", "inactive", "transferring", "overloaded", "closed"), Responsible.SITE),
    **dict.fromkeys(
        ("storage", "type", "opportunistic", "zero_share", "share", "processing", "over_pledged"), Responsible.OPERATORS
    ),
}
"""By the criterion that left nobody; what a job asks for (memory, cores, ...) is its submitter's."""
_BROKERAGE_FAILED = 102
"""Error code of brokerage, see `core.error_codes`."""


class BrokerageFailed:
    """Brokerage did not get as far as an answer."""

    id = "brokerage_failed"
    sentence = "brokerage meets an error of the system"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at what the last brokerage wrote on the job."""
        said = str(case.job["brokerage_error_diag"]).strip().rstrip(".")
        if case.status != JobStatus.DEFINED or case.job["brokerage_error_code"] != _BROKERAGE_FAILED:
            return None
        looked = f" (last at {case.job['brokerage_time']:%H:%M:%S} UTC)" if case.job["brokerage_time"] else ""
        return Reason(
            self.id,
            Responsible.OPERATORS,
            clause=said,
            sentence=f"{said[:1].upper()}{said[1:]}.",
            next_step=_again(case, f"brokerage tries again every few seconds{looked}"),
            next_time=case.ending_time,
            advice=("tell the operators: the incident of brokerage has the traceback (`panda incidents`)",),
        )


class NoQueueFits:
    """Brokerage looked and found nobody."""

    id = "no_queue"
    sentence = "no queue fulfils all criteria of brokerage"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at what the last brokerage wrote on the job."""
        said = str(case.job["brokerage_error_diag"]).strip().rstrip(".")
        if case.status != JobStatus.DEFINED or not said:
            return None
        steps: list[dict[str, Any]] = list(case.decision["funnel"]) if case.decision else []
        binding = next((step for step in steps if step["after"] == 0), None)
        n_queues = int(steps[0]["before"]) if steps else 0
        sentence = f"{said[:1].upper()}{said[1:]}."
        if binding and binding["before"]:
            examples = "; ".join(f"{out['queue']} {out['reason']}" for out in binding["excluded"][:NAMED_FILES])
            sentence = (
                f"None of {counted(n_queues, 'queue')} can take it: the last {binding['before']:,} fail at "
                f"'{binding['sentence']}' ({examples})."
            )
        looked = f" (last at {case.job['brokerage_time']:%H:%M:%S} UTC)" if case.job["brokerage_time"] else ""
        is_temporary = bool(case.decision["is_temporary"]) if case.decision else False
        passes = "; what is in the way goes by itself, with load or time" if is_temporary else ""
        return Reason(
            self.id,
            _RESPONSIBLE_FOR.get(str(binding["criterion"]), Responsible.USER) if binding else Responsible.OPERATORS,
            clause=said,
            sentence=sentence,
            next_step=_again(case, f"brokerage looks again every few seconds{looked}{passes}"),
            next_time=case.ending_time,
            advice=_advice(binding, is_temporary=is_temporary),
            numbers={
                "queues": n_queues,
                "binding_step": binding["criterion"] if binding else "",
                "left_before": binding["before"] if binding else 0,
                "is_temporary": is_temporary,
            },
        )


def _again(case: JobCase, what: str) -> str:
    """`what`, as long as the agent of brokerage works; then what ends the wait."""
    if case.setupper_rests_since is not None:
        what = "nothing, until the agents run again"
    return "; ".join(filter(None, (what, case.unless("a queue is found"))))


def _advice(binding: dict[str, Any] | None, *, is_temporary: bool) -> tuple[str, ...]:
    if binding is None or not binding["before"]:
        return ("see `panda queues`: there is none yet, or none any more",)
    wait = ("wait: what is in the way goes by itself",) if is_temporary else ()
    return (*wait, "see the what-if below for what would open queues")


class SetupperRests:
    """The agent that would choose a queue does not work."""

    id = "setupper_rests"
    sentence = "the agent that chooses queues does not run"

    def reason(self, case: JobCase) -> Reason | None:
        """Look when the agent last ran."""
        last = case.setupper_rests_since
        if case.status != JobStatus.DEFINED or last is None:
            return None
        return Reason(
            self.id,
            Responsible.OPERATORS,
            clause=f"the agent that chooses queues (setupper) last ran at {last:%Y-%m-%d %H:%M} UTC",
            sentence=f"The agent that chooses queues (setupper) last ran at {last:%Y-%m-%d %H:%M} UTC.",
            next_step=_again(case, ""),
            next_time=case.ending_time,
            advice=("see `panda status`, and start the agents",),
            numbers={"last_run": last},
        )


class QueueIsBeingChosen:
    """Just defined; nobody has looked yet."""

    id = "being_brokered"
    sentence = "a queue is being chosen"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at the state alone: it comes after the statements that know more."""
        is_looked_at = bool(case.job["brokerage_error_diag"]) or case.setupper_rests_since is not None
        if case.status != JobStatus.DEFINED or is_looked_at:
            return None
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause="",
            sentence=f"It has been defined for {duration_words(case.age_s)}; brokerage has not looked at it yet.",
            next_step=_again(case, "brokerage chooses a queue within seconds"),
            next_time=case.ending_time,
            numbers={"age_s": case.age_s},
        )


class InputIsMissing:
    """Its queue is chosen; input is not at the storage of that queue."""

    id = "input_missing"
    sentence = "input is not at the storage of its queue"

    def reason(self, case: JobCase) -> Reason | None:
        """Count the inputs without a replica there."""
        if case.status != JobStatus.ASSIGNED:
            return None
        queue, name = case.queue.row, case.queue.name
        if queue is None:
            return _unusable(self.id, case, f"there is no queue {name}")
        if not queue["storage_endpoint"]:
            return _unusable(self.id, case, f"queue {name} has no storage endpoint, so input cannot get there")
        missing = case.missing_input
        if not missing:
            return None
        count, endpoint = int(missing[0]["count"]), queue["storage_endpoint"]
        clause = f"{are(count, 'input file')} not at {endpoint}: {named([row['lfn'] for row in missing], count)}"
        return Reason(
            self.id,
            Responsible.DATA,
            clause=clause,
            sentence=f"Queue {name} is chosen, but {clause}. It has waited for {duration_words(case.age_s)}.",
            next_step="; ".join(
                filter(None, ("it becomes ready when the last file has arrived", case.unless("that is so")))
            ),
            next_time=case.ending_time,
            advice=(
                f"bring the files to {endpoint} and tell of them: POST /api/control/replicas",
                "or leave the queue open, so that the job goes where its input is",
            ),
            numbers={"missing": count, "endpoint": endpoint, "age_s": case.age_s, "limit_s": case.timeouts.assigned_s},
        )


class InputIsComplete:
    """Assigned, and everything has arrived."""

    id = "input_arrived"
    sentence = "its input has arrived; it becomes ready next"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at the state alone: it comes after `InputIsMissing`."""
        if case.status != JobStatus.ASSIGNED or case.queue.row is None or case.missing_input:
            return None
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="",
            sentence=f"All its input is at {case.queue.row['storage_endpoint']}; it becomes ready next.",
            next_step="; ".join(
                filter(None, ("an agent (activator) makes it ready within seconds", case.unless("it does")))
            ),
            next_time=case.ending_time,
        )
        return unless_it_rests(reason, case.transaction, "activator", case.as_of)


def _unusable(identity: str, case: JobCase, clause: str) -> Reason:
    return Reason(
        identity,
        Responsible.OPERATORS,
        clause=clause,
        sentence=f"{clause[:1].upper()}{clause[1:]}.",
        next_step=case.unless("that is mended") or "nothing, until that is mended",
        next_time=case.ending_time,
        advice=(
            "ask the operators to mend the queue",
            f"or kill the job (panda kill {case.panda_id}) and submit it without naming a queue",
        ),
    )
