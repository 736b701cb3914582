"""Lists of files as a shell leaves them on the command line."""

from __future__ import annotations

import pytest

from pandascope.cli.many_values import spread


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("--in a b c --out o", "--in a --in b --in c --out o"),
        ("--in a --in b", "--in a --in b"),
        ("--exec c --in a b --wait", "--exec c --in a --in b --wait"),
        ("--in=a b", "--in=a --in b"),
        ("--in -dash b", "--in -dash --in b"),
        ("--in a -- b", "--in a -- b"),
        ("--name n x", "--name n x"),
        ("--in", "--in"),
    ],
)
def test_an_option_takes_all_words_up_to_the_next_dash(words: str, meaning: str) -> None:
    assert spread(words.split()) == meaning.split()
