"""Applies the rules and classes to jobs that have just failed, in the transaction that ended them (domain.md 15).

Changes the limits and the memory of the input they hold and the parameters of their tasks, before the fate of that input is
decided, and says so in retry_log. Whatever is in the tables, the ending of jobs goes on. Knows neither the task buffer nor
the task engine.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg2
import psycopg2.errors

from core.database import Row, Transaction
from core.retrial.cputime import increase_cputime
from core.retrial.effects import Deed, Effects, write_files, write_log, write_tasks
from core.retrial.facts import Case, read_cases, read_held, read_tasks
from core.retrial.inputs import reduce_input
from core.retrial.memory import looks_at_task, next_by_task, next_step, present_mb, raise_task
from core.retrial.patterns import Matches, match_all
from core.retrial.rules import PASSIVE, ErrorClass, Failure, Match, Rule, choose, class_of
from core.retrial.table import disable, read_classes, read_rules
from core.wording import are, counted

log = logging.getLogger("panda.retrial")

CLASS_DEED = "system_error"
"""The action in the log of what the class of an error did, without a rule."""
_NOTHING_HELD = "nothing to change: the job holds no input of its task"


def apply_rules(transaction: Transaction, failed: Sequence[Row]) -> None:
    """Do what the tables say about jobs that were archived as failed in this transaction.

    `failed`: panda_id and jedi_task_id of each. Their tasks are locked by the caller; their input is still `running`.
    Raises only what the transaction cannot survive (a lost connection, a deadlock).
    """
    panda_ids = [row["panda_id"] for row in failed if row["jedi_task_id"] is not None]
    if not panda_ids:
        return
    transaction.execute("SAVEPOINT retrial")
    try:
        _apply(transaction, panda_ids)
    except psycopg2.errors.QueryCanceled:
        _give_up(transaction, len(panda_ids))
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise
    except Exception:  # noqa: BLE001  (rules are other people's text: no row of theirs may keep jobs from ending)
        _give_up(transaction, len(panda_ids))
    else:
        transaction.execute("RELEASE SAVEPOINT retrial")


def _give_up(transaction: Transaction, count: int) -> None:
    log.exception("the rules were not applied to %d failed jobs", count, extra={"component": "retrial"})
    transaction.execute("ROLLBACK TO SAVEPOINT retrial")


def _apply(transaction: Transaction, panda_ids: Sequence[int]) -> None:
    cases = read_cases(transaction, panda_ids)
    failures = {failure for case in cases for failure in case.failures}
    if not failures:
        return
    rules, classes = read_rules(transaction, failures), read_classes(transaction, failures)
    if not rules and not classes:
        return
    rules, classes, matches = _match(transaction, rules, classes, failures)
    read_tasks(transaction, cases, [name for rule in rules for name in rule.parameters.get("excluded_rules", ())])
    chosen = {
        case.panda_id: choose(case.failures, case.task.circumstances(case.row["gshare"]), rules, matches.says)
        for case in cases
    }
    read_held(transaction, cases)
    effects = Effects()
    _change_limits(cases, chosen, effects)
    _change_memory(transaction, cases, chosen, effects)
    _change_tasks(transaction, cases, chosen, effects)
    for case in cases:
        _note_class(case, class_of(case.failures, classes, matches.says), effects)
    write_files(transaction, effects)
    write_tasks(transaction, effects)
    write_log(transaction, effects.deeds)
    acted = sum(deed.has_acted for deed in effects.deeds)
    if acted:
        log.info("rules acted %d times on %d failed jobs", acted, len(cases), extra={"component": "retrial"})


def _match(
    transaction: Transaction, rules: list[Rule], classes: list[ErrorClass], failures: set[Failure]
) -> tuple[list[Rule], list[ErrorClass], Matches]:
    """What matches what; rules and classes with an expression that cannot be used are switched off and left out."""
    wanted: dict[str, list[str]] = {}
    for pattern in [*(rule.pattern for rule in rules), *(row.pattern for row in classes)]:
        if pattern.diag:
            asked = wanted.setdefault(pattern.diag, [])
            asked.extend(failure.diag for failure in failures if pattern.may_fit(failure))
    matches = match_all(transaction, {pattern: texts for pattern, texts in wanted.items() if texts})
    bad = matches.unusable
    disable(transaction, "rule", {row.rule_id: bad[row.pattern.diag] for row in rules if row.pattern.diag in bad})
    disable(transaction, "class", {row.class_id: bad[row.pattern.diag] for row in classes if row.pattern.diag in bad})
    usable_classes = [row for row in classes if row.pattern.diag not in bad]
    return [row for row in rules if row.pattern.diag not in bad], usable_classes, matches


Chosen = dict[int, list[Match]]


def _of_action(cases: Sequence[Case], chosen: Chosen, *actions: str) -> list[tuple[Case, Match]]:
    return [(case, match) for case in cases for match in chosen[case.panda_id] if match.rule.action in actions]


def _deed(case: Case, match: Match, effect: str, has_acted: bool) -> Deed:
    """A line of the log; of a rule that did not act the line says what it would have done, or why not."""
    if match.hindrance == PASSIVE:
        effect = f"passive; would have acted: {effect}"
    elif match.hindrance:
        effect = f"not carried out: {match.hindrance}"
    return Deed(
        case, match.failure, match.rule.action, effect, has_acted and match.acts, match.rule.is_active, match.rule
    )


def _change_limits(cases: Sequence[Case], chosen: Chosen, effects: Effects) -> None:
    for case, match in _of_action(cases, chosen, "no_retry", "limit_retry"):
        limit = int(match.rule.parameters.get("maxAttempt", 0))
        has_acted = bool(case.held.n_files) and limit < case.held.max_attempt
        if not case.held.n_files:
            effect = _NOTHING_HELD
        elif limit == 0:
            effect = f"the input is not tried again after attempt {case.held.attempt_nr} of {case.held.max_attempt}"
        elif has_acted:
            effect = f"at most {counted(limit, 'attempt')} instead of {case.held.max_attempt}"
        else:
            effect = f"left alone: no more than {are(case.held.max_attempt, 'attempt')} allowed anyway"
        if has_acted and match.acts:
            effects.limit(case.panda_id, limit)
        effects.deeds.append(_deed(case, match, effect, has_acted))


def _change_memory(transaction: Transaction, cases: Sequence[Case], chosen: Chosen, effects: Effects) -> None:
    """A failure for want of memory does not count when the next attempt has more: it is another job then."""
    raised: list[tuple[Case, Deed]] = []
    for case, match in _of_action(cases, chosen, "increase_memory", "increase_memory_xtimes"):
        present = present_mb(case)
        wanted = next_by_task(present, case.task) if match.rule.action.endswith("_xtimes") else next_step(present)
        if not case.held.n_files:
            effect = _NOTHING_HELD
        elif wanted is None:
            effect = f"left alone: {present} MB per core is the most that is tried"
        else:
            effect = f"memory of the next attempt from {present or 'an unstated'} to {wanted} MB per core"
        deed = _deed(case, match, effect, bool(case.held.n_files and wanted))
        effects.deeds.append(deed)
        if deed.has_acted and wanted:
            effects.rams_mb[case.panda_id] = wanted
            effects.forgiven.add(case.panda_id)
            raised.append((case, deed))
    if raised:
        write_files(transaction, Effects(rams_mb=effects.rams_mb))
        looked_at = {case.task_id: case.task for case, _ in raised if looks_at_task(case)}
        said = raise_task(transaction, looked_at.values(), effects)
        for case, deed in raised:
            deed.effect += f"; {said[case.task_id]}" if case.task_id in said else ""


def _change_tasks(transaction: Transaction, cases: Sequence[Case], chosen: Chosen, effects: Effects) -> None:
    asked = _of_action(cases, chosen, "increase_cputime")
    said = increase_cputime(transaction, [case for case, match in asked if match.acts], effects) if asked else {}
    for case, match in asked:
        effect, has_acted = said.get(case.panda_id, ("raise the CPU time of the task", False))
        effects.deeds.append(_deed(case, match, effect, has_acted))
    for case, match in _of_action(cases, chosen, "reduce_input_per_job"):
        effect, has_acted = reduce_input(case, match.rule.parameters, effects if match.acts else Effects())
        effects.deeds.append(_deed(case, match, effect, has_acted))


def _note_class(case: Case, found: tuple[ErrorClass, Failure] | None, effects: Effects) -> None:
    """System faults do not eat the attempts of users, as long as attempts last."""
    if found is None or found[0].error_class != "system" or not case.held.n_files:
        return
    row, failure = found
    can_forgive = case.held.max_failure < case.held.max_attempt
    if not row.is_active:
        effect = "passive; would have acted: this failure does not count"
    elif case.panda_id in effects.forgiven:
        effect = "left alone: this failure does not count anyway"
    elif can_forgive:
        effect = f"this failure does not count: {case.held.max_failure + 1} are allowed now"
        effects.forgiven.add(case.panda_id)
    else:
        effect = f"left alone: as many failures are allowed as attempts ({case.held.max_failure})"
    has_acted = row.is_active and effect.startswith("this failure")
    effects.deeds.append(Deed(case, failure, CLASS_DEED, effect, has_acted, row.is_active))
