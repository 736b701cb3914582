"""Turns the user's words into the command that runs: %IN, %OUT and their kin become names of files. Pure functions.

The rules are those of prun's help: %IN is the comma-separated list of the files of the stream IN, %IN2 that of IN2.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from .failing import USAGE, Failure

_HARMLESS = re.compile(r"[\w@%+=:,./^-]*")


def command_text(quoted: str) -> str:
    """What the user typed after --exec: on the way it is quoted like a part of a URL."""
    return unquote(quoted, errors="surrogateescape")


def names_in(text: str) -> list[str]:
    """The files of a list as the server writes it: a Python list, or names between commas."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [name for name in (part.strip(" '\"") for part in text.strip("[] ").split(",")) if name]
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [str(name) for name in value]
    return [text]


def mapping_in(option: str, text: str) -> dict[str, object]:
    """A Python dictionary as prun writes it. Raises Failure when it is none."""
    try:
        value = ast.literal_eval(text or "{}")
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, dict):
        raise Failure(USAGE, f"the value of {option} is no dictionary: {text[:200]}")
    return {str(key): entry for key, entry in value.items()}


def expanded(command: str, streams: Mapping[str, Sequence[str]], outputs: Sequence[str], serial: int) -> str:
    """The command with its placeholders filled in, whole words only (%INPUT is none of %IN), others left as they are.

    A list with a blank or another character that means something to a shell is quoted as its place demands: the text is
    read as a shell reads it. %RNDM:n, which the server resolves when the task was made by prun, is n plus `serial`.
    """
    texts = {name: ",".join(names) for name, names in streams.items()}
    texts["OUT"] = ",".join(outputs)
    longest_first = sorted(map(re.escape, texts), key=len, reverse=True)
    placeholder = re.compile(rf"%(?:(?P<name>{'|'.join(longest_first)})(?!\w)|RNDM(?:[:=](?P<base>\d+)%?|(?!\w)))")
    done: list[str] = []
    position, quote = 0, ""
    while position < len(command):
        match = placeholder.match(command, position)
        if match:
            name = match.group("name")
            done.append(_fitting(texts[name], quote) if name else str(int(match.group("base") or 0) + serial))
            position = match.end()
            continue
        step, quote = _read(command, position, quote)
        done.append(command[position : position + step])
        position += step
    return "".join(done)


def _read(command: str, position: int, quote: str) -> tuple[int, str]:
    """How many characters make the next piece, and in which kind of quotes a shell is after it."""
    character = command[position]
    if character == "\\" and quote != "'":
        return (1, quote) if command[position + 1 : position + 2] == "%" else (2, quote)
    if character in ("'", '"') and quote in ("", character):
        return 1, "" if quote else character
    return 1, quote


def _fitting(text: str, quote: str) -> str:
    if _HARMLESS.fullmatch(text):
        return text
    if quote == "'":
        return text.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", text)
    return shlex.quote(text)


def with_real_names(command: str, outputs: Mapping[str, str]) -> str:
    """The command with the final name of each output in place of the name the user gave it."""
    plain = sorted((name for name in outputs if not is_pattern(name)), key=len, reverse=True)
    if not plain:
        return command
    found = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, plain))})(?![\w-]|\.\w)")
    return found.sub(lambda match: outputs[match.group(1)], command)


def is_pattern(name: str) -> bool:
    """Does the name of an output stand for any number of files?"""
    return "*" in name or name.startswith("regex|")
