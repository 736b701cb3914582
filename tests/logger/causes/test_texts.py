"""Text of others that terminals, mail programs, Markdown and chats show instead of obeying."""

from __future__ import annotations

from email.header import decode_header

import pytest
from hypothesis import given
from hypothesis import strategies as some

from logger.texts import harmless, header_safe, markdown_safe, one_line, slack_safe

_NASTY = some.one_of(
    some.text(max_size=200),
    some.lists(
        some.sampled_from(
            [
                "\r\n",
                "\n",
                "\x1b[31m",
                "\x1b]0;x\x07",
                "=?utf-8?q?Bcc=3A?=",
                "=?",
                "?=",
                "<b>",
                "&",
                "# ",
                "- ",
                "1. ",
                "x",
                " ",
            ]
        )
    ).map("".join),
)


@given(_NASTY)
def test_a_harmless_text_has_no_controls_and_stays_as_it_is_the_second_time(text: str) -> None:
    clean = harmless(text)
    assert all(character in "\n\t" or character.isprintable() or ord(character) > 159 for character in clean)
    assert harmless(clean) == clean


def test_ascii_and_other_text_are_cleaned_alike() -> None:
    controls = "".join(map(chr, range(128)))
    assert harmless(controls + "é") == harmless(controls) + "é"


@given(_NASTY, some.integers(1, 40))
def test_one_line_is_one_line_of_bounded_length(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1 and line == " ".join(line.split())


@given(_NASTY)
def test_a_header_has_no_line_break_and_no_encoded_word(text: str) -> None:
    safe = header_safe(text)
    assert len(safe) <= 150 and "\n" not in safe and "\r" not in safe and "=?" not in safe
    assert [charset for _, charset in decode_header(safe)] == [None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# heading", "\\# heading"),
        ("  - item\n+ item\n12. item\n3) item", "\\- item\n\\+ item\n12\\. item\n3\\) item"),
        ("[a](http://b)", "\\[a\\](http\\://b)"),
        ("![i](www.b.org)", "!\\[i\\](www\\.b.org)"),
        ("<script>&lt;", "\\<script\\>\\&lt;"),
        ("a_b *c* `d` ~~e~~ | f", "a\\_b \\*c\\* \\`d\\` \\~\\~e\\~\\~ \\| f"),
        ("title\n===\n    code", "title\n\\===\ncode"),
        ("@here see #12", "\\@here see \\#12"),
        ("plain text, 3.5 s - fine", "plain text, 3.5 s - fine"),
    ],
)
def test_markdown_shows_the_text_as_it_is(text: str, shown: str) -> None:
    assert markdown_safe(text) == shown


def test_a_chat_sees_no_link_and_no_mention() -> None:
    assert slack_safe("<!channel> <@U1> a & b\x1b[0m") == "&lt;!channel&gt; &lt;@U1&gt; a &amp; b"
