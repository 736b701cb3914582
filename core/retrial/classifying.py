"""Whose fault errors are, for who only wants to know: reads the classes and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core.database import Transaction
from core.retrial.patterns import match_all
from core.retrial.rules import Failure, class_of
from core.retrial.table import read_classes


def classifier(transaction: Transaction, failures: Iterable[Failure]) -> Callable[[Sequence[Failure]], str]:
    """A function that names the class of the errors of a job, all of them among `failures`; "" when nobody said any."""
    every = set(failures)
    classes = [row for row in read_classes(transaction, every) if row.is_active] if every else []
    wanted = {
        row.pattern.diag: [failure.diag for failure in every if row.pattern.may_fit(failure)]
        for row in classes
        if row.pattern.diag
    }
    says = match_all(transaction, wanted).says

    def named(found: Sequence[Failure]) -> str:
        decided = class_of(found, classes, says)
        return decided[0].error_class if decided else ""

    return named
