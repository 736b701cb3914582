"""Text that no terminal, browser, mail header or chat obeys instead of showing it. Knows no log, job or incident."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_]|[()][A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ASCII_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
_OVERWRITTEN = re.compile(r"[^\n\r]*\r(?!\n|$)", re.MULTILINE)  # what a progress bar drew over

CUT = "…"
"""Stands where a text was cut."""


def harmless(text: str) -> str:
    """The text with the same lines, but nothing in it that a terminal would obey instead of showing."""
    text = _ESCAPE.sub("", text) if "\x1b" in text else text
    if "\r" in text:
        text = _OVERWRITTEN.sub("", text.replace("\r\n", "\n")).replace("\r", "")
    if text.isascii():  # the same, in a twentieth of the time
        return text.encode("ascii").translate(None, _ASCII_CONTROLS).decode("ascii")
    return _CONTROL.sub("", text)


def one_line(text: str, limit: int) -> str:
    """One harmless line of at most `limit` characters; white space of any kind becomes single blanks."""
    line = " ".join(harmless(text).split())
    return line if len(line) <= limit else line[: max(limit, 1) - 1] + CUT


def header_safe(text: str, limit: int = 150) -> str:
    """Fit for a mail header: one line, no control, and no encoded word (`=?utf-8?...?=`, RFC 2047) that a mail program
    would decode into something that nobody checked; whoever encodes the header afterwards makes its own."""
    return one_line(one_line(text, len(text)).replace("=?", "= ?"), limit)


_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$&@])")
_LIST_MARK = re.compile(r"^([+-]|=+$)|^(\d+)([.)])", re.MULTILINE)
_INDENTED = re.compile(r"^[ \t]+", re.MULTILINE)
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp|www)([:.])")


def markdown_safe(text: str) -> str:
    """Text that Markdown shows as it is: no heading, list, code, link, image, HTML or mention, and no address that
    would become a link. The lines stay, their indentation does not: it would make code of them."""
    escaped = _MARKDOWN.sub(r"\\\1", _INDENTED.sub("", harmless(text)))
    escaped = _LIST_MARK.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", escaped)
    return _ADDRESS.sub(r"\1\\\2", escaped)


_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def slack_safe(text: str) -> str:
    """The three characters that Slack interprets, escaped, so that nothing in it is a link or mentions anybody."""
    return harmless(text).translate(_SLACK)
