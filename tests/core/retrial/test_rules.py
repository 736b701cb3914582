"""Which rules act, whatever rules there are; and that an expression means what it means at the start of a message."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from core.database import Database
from core.retrial.actions import ACTIONS
from core.retrial.patterns import match_all
from core.retrial.rules import PASSIVE, Circumstances, Failure, Pattern, Rule, choose

SOURCES = ("", "pilot", "ddm")
CODES = (0, 1, 2)
NEEDS = {name for name, action in ACTIONS.items() if action.is_about_needs}


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    """Rules with numbers of their own, of all actions, active and passive."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(SOURCES),
                st.sampled_from(CODES),
                st.sampled_from(("", "a", "b")),
                st.sampled_from(sorted(ACTIONS)),
                st.integers(1, 5),
                st.booleans(),
                st.sampled_from(("", "share")),
            ),
            max_size=12,
        )
    )
    return [
        Rule(
            number,
            Pattern(source, code, diag),
            action,
            {"maxAttempt": attempts} if action == "limit_retry" else {},
            gshare=share,
            is_active=active,
        )
        for number, (source, code, diag, action, attempts, active, share) in enumerate(rows, start=1)
    ]


def says(pattern: str, message: str) -> bool:
    return message.startswith(pattern)


FAILURES = st.lists(
    st.builds(Failure, st.sampled_from(SOURCES[1:]), st.sampled_from(CODES[1:]), st.sampled_from(("", "a", "b"))),
    min_size=1,
    max_size=3,
)


@given(rules=rule_sets(), failures=FAILURES, order=st.randoms())
def test_what_acts_follows_the_order_of_precedence(rules, failures, order):
    here = Circumstances(gshare="share")
    matches = choose(failures, here, rules, says)
    shuffled = list(rules)
    order.shuffle(shuffled)
    assert choose(failures, here, shuffled, says) == matches
    assert len({match.rule.rule_id for match in matches}) == len(matches)
    acting = [match.rule for match in matches if match.acts]
    assert all(rule.is_active for rule in acting)
    assert {match.rule.rule_id for match in matches if match.hindrance == PASSIVE} == {
        match.rule.rule_id for match in matches if not match.rule.is_active
    }
    assert sum(rule.action in NEEDS for rule in acting) == any(
        match.rule.action in NEEDS and match.rule.is_active for match in matches
    )
    limits = [match.rule for match in matches if match.rule.action == "limit_retry" and match.rule.is_active]
    if limits:
        [winner] = [rule for rule in acting if rule.action == "limit_retry"]
        most = max(rule.specificity for rule in limits)
        assert winner.specificity == most
        assert winner.parameters["maxAttempt"] == min(
            rule.parameters["maxAttempt"] for rule in limits if rule.specificity == most
        )
    found = {match.rule.rule_id for match in matches if match.rule.action == "no_retry" and match.rule.is_active}
    assert found == {rule.rule_id for rule in acting if rule.action == "no_retry"}


SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "\\d", "\\s"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda part: f"(?:{part})*"),
        inner.map(lambda part: f"({part})?"),
    ),
    max_leaves=6,
)


@given(pattern=SIMPLE, messages=st.lists(st.text("ab1 \n", max_size=8), min_size=1, max_size=8, unique=True))
@settings(max_examples=60)
def test_postgresql_matches_what_upstream_matches(shared_database: Database, pattern, messages):
    """Upstream: re.match with DOTALL."""
    with shared_database.transaction() as transaction:
        matches = match_all(transaction, {pattern: messages})
    assert not matches.unusable
    expected = {message for message in messages if re.match(pattern, message, re.DOTALL)}
    assert {message for message in messages if matches.says(pattern, message)} == expected
