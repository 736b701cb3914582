"""Statements about tasks that are held: throttled, paused, exhausted, pending; and about how they end."""

from __future__ import annotations

from datetime import timedelta

from core.accounts.admission import until_words
from core.accounts.limits import FOREVER, account_of, read_limits
from core.accounts.quotas import cpu_by_day, quotas_of, used_up
from core.brokerage.throttle import task_throttle
from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TASK_STATUS_MEANING, TaskStatus
from core.why.holding import last_task_step
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.why.task_case import TaskCase
from core.why.task_destination import waits_for_destination
from core.wording import are, counted, moment

_CLOSING = (
    *(TaskStatus.ABORTING, TaskStatus.TOABORT, TaskStatus.FINISHING, TaskStatus.PASSED, TaskStatus.PREPARED),
    *(TaskStatus.TOBROKEN, TaskStatus.MERGING),
)
_HELD = (TaskStatus.PENDING, TaskStatus.THROTTLED)


class TaskHasEnded:
    """Nothing is waited for any more."""

    id = "ended"
    sentence = "it has ended"

    def reason(self, case: TaskCase) -> Reason | None:
        """How, with its files and what its dialog says."""
        if case.status not in FINAL_TASK_STATUSES:
            return None
        task = case.task
        said = task["error_dialog"]
        if case.status == TaskStatus.ABORTED:
            # the dialog is of the time before somebody ended it
            step = last_task_step(case.transaction, case.task_id, TaskStatus.ABORTING)
            said = step["reason"] if step and step["reason"] else said
        dialog = f": {said.rstrip('.')}" if said else ""
        when = f" at {moment(task['end_time'], case.as_of)}" if task["end_time"] else ""
        can_retry = case.status in (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.ABORTED)
        files = f"{task['n_files_finished']:,} of {counted(task['n_files'], 'file')} done, {task['n_files_failed']:,} failed"
        return Reason(
            self.id,
            Responsible.SYSTEM if case.status == TaskStatus.DONE else Responsible.USER,
            clause=f"it is {case.status}{dialog}",
            sentence=f"It ended as {case.status}{when}{dialog}; {files}.",
            next_step="nothing",
            advice=(f"try what failed again: panda act retry {case.task_id}, or retry({case.task_id}) in pbook",)
            if can_retry
            else (),
            numbers={
                **{"files": task["n_files"], "files_finished": task["n_files_finished"]},
                **{"files_failed": task["n_files_failed"]},
            },
        )


class TaskIsClosing:
    """It ends on request, or its end is being worked out."""

    id = "closing"
    sentence = "it is ending"

    def reason(self, case: TaskCase) -> Reason | None:
        """Count the jobs that pilots still have."""
        if case.status not in _CLOSING:
            return None
        meaning = TASK_STATUS_MEANING[TaskStatus(case.status)]
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause=f"it is {case.status}: {meaning}",
            sentence=f"It is {case.status}: {meaning}; {are(case.n_active, 'job')} left.",
            next_step="it ends with its last job",
            numbers={"jobs_left": case.n_active},
        )


class AccountIsStopped:
    """Its user or group is banned, or beyond a quota that holds work back."""

    id = "account_stopped"
    sentence = "its user or working group is banned, or over quota"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at the decisions of operators and at what was used, of a task that is held."""
        held_jobs = "throttled" in case.live_jobs
        if case.status not in _HELD and not held_jobs:
            return None
        user = account_of(case.task["user_name"], "")
        account = account_of(case.task["user_name"], case.task["working_group"])
        table = read_limits(case.transaction, {user, account})
        if table.of(user).is_banned(case.as_of):
            account = user
        limits = table.of(account)
        if limits.is_banned(case.as_of):
            until = limits.banned_until
            return Reason(
                "banned",
                Responsible.OPERATORS,
                clause=f"{account} is banned: {limits.reason}",
                sentence=f"{account} is banned {until_words(until or FOREVER)}: {limits.reason}.",
                next_step="nothing before that",
                next_time=until if until != FOREVER else None,
                advice=("ask the operators",),
                numbers={"banned_until": until},
            )
        # the other modes lower priorities, or refuse what comes new
        if limits.quota_mode != "hold" or not limits.quotas:
            return None
        used = cpu_by_day(case.transaction, [account], case.as_of.date())[account]
        quota = used_up(quotas_of(limits, used, case.as_of.date()))
        if quota is None:
            return None
        words = f"{quota.used:.0f} of {quota.allowed} CPU hours in {counted(quota.days, 'day')}"
        return Reason(
            "over_quota",
            Responsible.USER,
            clause=f"{account} is over quota",
            sentence=f"{account} has used {words}, and its work is held back.",
            next_step="it goes on when enough of what was used is forgotten",
            next_time=quota.free_again,
            advice=("wait, or ask the operators for a larger quota",),
            numbers={"used_hours": quota.used, "allowed_hours": quota.allowed, "days": quota.days},
        )


class CapIsReached:
    """A cap of its user or group, or its share is above its target: computed anew, by what the generator asks."""

    id = "cap_reached"
    sentence = "its user or working group has as much as it may have, or its share is above its target"

    def reason(self, case: TaskCase) -> Reason | None:
        """Ask brokerage's throttle, of a task that is held or has input left."""
        if case.status not in _HELD and not (case.status in GENERATING_TASK_STATUSES and case.count_files("ready")):
            return None
        throttle = task_throttle(case.transaction, case.task)
        if throttle is None:
            return None
        is_share = throttle.kind == "share"
        return Reason(
            self.id,
            Responsible.SYSTEM if is_share else Responsible.USER,
            clause=throttle.reason.rstrip("."),
            sentence=f"No further jobs are made of it: {throttle.reason.rstrip('.')}.",
            next_step=throttle.next_step,
            next_time=case.task["next_try_time"] or case.task["generate_at"],
            advice=("wait until the share has room",)
            if is_share
            else ("let running work end, or kill what you do not need", "ask the operators for a higher limit"),
            numbers={
                **{"kind": throttle.kind, "whose": throttle.whose, "number": throttle.number, "limit": throttle.limit},
            },
        )


class TaskIsThrottled:
    """No further jobs are made for a while."""

    id = "throttled"
    sentence = "no further jobs are made for a while: a cap of its user or group, or its share has enough"

    def reason(self, case: TaskCase) -> Reason | None:
        """The reason that was written down when it was held."""
        if case.status != TaskStatus.THROTTLED:
            return None
        task = case.task
        step = last_task_step(case.transaction, case.task_id, TaskStatus.THROTTLED)
        why = task["error_dialog"] or (step["reason"] if step else "") or "enough of its work is queued"
        until = task["next_try_time"] or task["modification_time"] + timedelta(
            seconds=case.settings.tasks.throttled_retry_s
        )
        reason = Reason(
            self.id,
            Responsible.USER,
            clause=f"it is throttled: {why.rstrip('.')}",
            sentence=f"It is throttled: {why.rstrip('.')}; {are(case.n_active, 'job')} under way.",
            next_step="it is looked at again at the time given",
            next_time=until,
            advice=("let running work end, or kill what you do not need",),
            numbers={"jobs_under_way": case.n_active},
        )
        return unless_it_rests(reason, case.transaction, "task_watchdog", case.as_of)


class TaskIsPausedByPerson:
    """On request."""

    id = "paused"
    sentence = "it is paused"

    def reason(self, case: TaskCase) -> Reason | None:
        """Who paused it and since when."""
        if case.status != TaskStatus.PAUSED:
            return None
        step = last_task_step(case.transaction, case.task_id, TaskStatus.PAUSED)
        who = step["who"] if step else "somebody"
        since = step["time"] if step else case.task["modification_time"]
        return Reason(
            self.id,
            Responsible.USER,
            clause=f"it was paused by {who}",
            sentence=f"It was paused by {who} at {moment(since, case.as_of)}; {are(case.n_active, 'job')} held or still running.",
            next_step="nothing, until it is resumed",
            advice=(f"resume it: `pbook` resume({case.task_id}), or POST /api/v1/task/resume",),
            numbers={"who": who, "since": since, "jobs_under_way": case.n_active},
        )


class TaskIsExhausted:
    """The system gave up; a person decides."""

    id = "exhausted"
    sentence = "the system gave up, and a person has to decide"

    def reason(self, case: TaskCase) -> Reason | None:
        """Why, and when it is closed with what it has."""
        if case.status != TaskStatus.EXHAUSTED:
            return None
        step = last_task_step(case.transaction, case.task_id, TaskStatus.EXHAUSTED)
        since = step["time"] if step else case.task["modification_time"]
        why = case.task["error_dialog"] or (step["reason"] if step else "") or "no reason was written down"
        closes = case.task["next_try_time"] or since + timedelta(seconds=case.settings.tasks.exhausted_limit_s)
        is_left_alone = _stays_exhausted(case)
        return Reason(
            self.id,
            Responsible.USER,
            clause=f"it is exhausted: {why.rstrip('.')}",
            sentence=f"It has been exhausted since {moment(since, case.as_of)}: {why.rstrip('.')}.",
            next_step="nothing, until somebody decides (disableAutoFinish)"
            if is_left_alone
            else f"unless somebody decides before {moment(closes, case.as_of)}, it is closed with what it has",
            next_time=None if is_left_alone else closes,
            advice=(
                f"retry it, with other parameters if the reason asks for that: `pbook` retry({case.task_id})",
                f"or finish it with what it has: `pbook` finish({case.task_id})",
            ),
            numbers={"since": since},
        )


def _stays_exhausted(case: TaskCase) -> bool:
    """Whether its submitter wants it to be left as it is, as the task watchdog reads it."""
    wishes = [(case.task[column] or {}).get("disableAutoFinish") for column in ("split_rule", "parameters")]
    wish = next((value for value in wishes if value is not None), "")
    return str(wish).lower() in ("true", "1")


class TaskIsPending:
    """A temporary obstacle."""

    id = "pending"
    sentence = "a temporary obstacle keeps it from making jobs"

    def reason(self, case: TaskCase) -> Reason | None:
        """The obstacle, the next try, and when the system gives up."""
        if case.status != TaskStatus.PENDING or waits_for_destination(case):
            return None
        task = case.task
        step = last_task_step(case.transaction, case.task_id, TaskStatus.PENDING)
        why = task["error_dialog"] or (step["reason"] if step else "") or "no reason was written down"
        again = task["next_try_time"]
        frozen = task["frozen_time"] or (step["time"] if step else None)
        gives_up = frozen + timedelta(seconds=case.settings.tasks.pending_limit_s) if frozen else None
        end = f"; exhausted at {moment(gives_up, case.as_of)} if nothing changes" if gives_up else ""
        until = f" until {moment(again, case.as_of)}" if again else ""
        reason = Reason(
            self.id,
            Responsible.OPERATORS if case.decision is None else Responsible.USER,
            clause=f"it is pending: {why.rstrip('.')}",
            sentence=f"It is pending{until}: {why.rstrip('.')}.",
            next_step=f"it is tried again at the time given{end}" if again else f"it is tried again{end}",
            next_time=again,
            advice=("see the funnel and the what-if below for what would help",) if case.decision else (),
            numbers={"frozen_since": frozen, "gives_up": gives_up},
        )
        return unless_it_rests(reason, case.transaction, "task_watchdog", case.as_of)
