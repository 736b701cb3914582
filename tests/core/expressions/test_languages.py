"""What is said to match nothing matches nothing, judged by two other engines; what must be found out is found out."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.database import Database
from core.errors import InvalidInput
from core.expressions.checking import check_expression
from core.expressions.languages import can_match

TEXTS = ["".join(letters) for size in range(5) for letters in itertools.product("ab1", repeat=size)]

pieces = st.sampled_from(["a", "b", "1", ".", "[ab]", "[^a]", "[^ab]", r"\d", r"\D", r"\w", "[a1]", "^", "$", "ab", ""])
expressions = st.recursive(
    pieces,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})")
        | st.tuples(
            inner.filter(
                lambda part: part and "^" not in part and "$" not in part and "(?=" not in part and "(?!" not in part
            ),
            st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"]),
        ).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
        | inner.map(lambda part: f"(?={part})")
        | inner.map(lambda part: f"(?!{part})")
    ),
    max_leaves=8,
)
"""Of the grammar that both engines read alike, so that a good part of them matches nothing."""


def in_python(expression: str) -> re.Pattern[str]:
    """The dot matches line ends, and `$` means the end."""
    return re.compile(expression.replace("$", r"\Z"), re.DOTALL)


@settings(max_examples=400, deadline=None)
@given(expressions)
def test_what_matches_a_short_text_is_never_said_to_match_none(expression):
    pattern = in_python(expression)
    if any(pattern.fullmatch(text) for text in TEXTS):
        assert can_match(expression, whole=True)
    if any(pattern.match(text) for text in TEXTS):
        assert can_match(expression, whole=False)


plain = st.recursive(
    st.sampled_from(
        ["a", "mc16", ".", r"\d", r"\s", r"\W", "[a-f]", "[^x]", "[]x]", r"[\d_-]", r"\.", "é", "[à-ü]", "{"]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format)
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{3}", "{1,9}", "{2,}", "+?"])).map(
            "(?:{0[0]}){0[1]}".format
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data(), plain, st.sampled_from(["{}", "^{}$", "^{}", "(?:{})$", "(?={0}){0}", "(?!zzz){}", "x?{}"]))
def test_an_expression_that_can_be_satisfied_is_never_refused(data, core, around):
    expression = around.format(core)
    text = data.draw(st.from_regex(in_python(expression), fullmatch=True))
    assert re.fullmatch(in_python(expression), text)
    check_expression(expression, "vo", whole=True)
    check_expression(expression, "error_diag", whole=False)


HOPELESS = [
    *("a^", "$x", "x+^y", "(?:a|b)^c", "a$b|b$a", "(?:$)a", r"a\A", r"\Za", "(a^|$b)c"),
    *(r"[^\s\S]", r"a[^\d\D]", r"[^\w\W]|b^"),
    *("(?=a)b", "(?!a)a", "(?=ab)a", "(?!)", "(?!a*)b", "(?=.*x)[^x]*", "(?!.*b)a*b", r"(?=\d)\D", "(?!x)(?!y)[xy]"),
    *("(?=[a-f]+$)[g-z]+", "(?=a{3})(?:ab)+", "(?=é)e", "(?!(?:ab)*$)(?:abab)*", "[^a-z](?=.)$"),
]
HOPEFUL = [
    *(
        "",
        "^$",
        "^",
        "$",
        "a|$b",
        "x*^y",
        "(?:^a)?b",
        "(?!a)ab|c",
        "(?=ab)ab",
        "managed|user",
        "MC16[a-e].*",
        "(?!managed).*",
    ),
    *("(?:(?!x).)*", "a{255}", "(((a*)*)*)*b", "(?:(?:a{0,50}b){0,50}c){0,50}(?=d)d", "[[:alpha:]]+", "a*?", "()"),
    *(r"\ya", r"\mword\M", r"\x41", "[a-]", "[]]", "[^]]", "{", "a{,2}", r"é\w^|a", "(?=a)b|c", "\\d{4}-\\d{2}"),
]
UNCLEAR = [r"[[:alpha:]]^", r"\yb^", r"é\d^", r"(?:a(?=b))*c^", "***=a^", "(?i)a^", r"\x41^"]


@pytest.mark.parametrize("expression", HOPELESS)
def test_what_can_match_nothing_is_refused(expression):
    assert not can_match(expression, whole=True)
    with pytest.raises(InvalidInput) as refused:
        check_expression(expression, "MC.vo", whole=True)
    assert (refused.value.field, bool(refused.value.remedy)) == ("MC.vo", True)


@pytest.mark.parametrize("expression", [*HOPEFUL, *UNCLEAR])
def test_what_can_match_or_is_unclear_is_taken(expression):
    check_expression(expression, "vo", whole=True)


def test_the_database_agrees(shared_database: Database):
    """Of what the reader of expressions takes for granted, PostgreSQL has the last word."""
    more = [
        "x",
        "y",
        "c",
        "xy",
        "{",
        "a{,2}",
        "]",
        "é",
        "MC16a",
        "managed",
        "a^",
        "-",
        "A",
        "$x",
        "2021-01",
        "\n",
        "a\n",
    ]
    matching = """SELECT e AS expression FROM unnest(%(expressions)s::text[]) AS e
                  WHERE EXISTS (SELECT 1 FROM unnest(%(texts)s::text[]) AS t WHERE t ~ ('^(?:' || e || ')$'))"""
    usable = [entry for entry in HOPEFUL if "{0,50}" not in entry]  # that one is too complex for it
    rows = shared_database.fetch(matching, {"expressions": [*HOPELESS, *usable], "texts": [*TEXTS, *more]})
    found = {row["expression"] for row in rows}
    assert found & set(HOPELESS) == set()
    assert {"", "^$", "a|$b", "x*^y", "(?:^a)?b", "(?!a)ab|c", "(?=ab)ab", "(?!managed).*", "[]]"} <= found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(expressions, min_size=10, max_size=10))
def test_the_database_finds_no_match_where_there_is_said_to_be_none(shared_database: Database, entries: list[str]):
    hopeless = [entry for entry in entries if not can_match(entry, whole=True)]
    rows = shared_database.fetch(
        """SELECT e, t FROM unnest(%(hopeless)s::text[]) AS e, unnest(%(texts)s::text[]) AS t
           WHERE t ~ ('^(?:' || e || ')$')""",
        {"hopeless": hopeless, "texts": TEXTS},
    )
    assert rows == []


def test_deep_and_long_expressions_end_at_once():
    for expression in ("(" * 500 + "a" + ")" * 500, "a?" * 500, "(?:a|b)" * 140, "(?=" * 300 + "a" + ")" * 300):
        check_expression(expression, "vo", whole=True)


def test_references_back_are_refused():
    for expression in (r"(a)\1", r"(mc+)(mc+)\1\2", r"\\\1"):
        with pytest.raises(InvalidInput, match="refers back"):
            check_expression(expression, "vo", whole=True)
    check_expression(r"\\1", "vo", whole=True)
