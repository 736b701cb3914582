"""A command whose options may take several words, as an unquoted `--in data/*.txt` gives them after the shell."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_MANY = frozenset({"--in", "--out", "--sandbox"})


class ManyValuesCommand(TyperCommand):
    """`--in a b c` means `--in a --in b --in c`; the list ends at the next word that begins with a dash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spread the lists, then parse as usual."""
        return super().parse_args(ctx, spread(args))


def spread(words: list[str]) -> list[str]:
    """The words with the option repeated before each of its values."""
    result: list[str] = []
    option, has_value = "", False
    for position, word in enumerate(words):
        if word == "--":
            return result + words[position:]
        if word.startswith("-") and not (option and not has_value):
            name, equals, _ = word.partition("=")
            option, has_value = (name if name in _MANY else ""), bool(equals)
            result.append(word)
        elif option and has_value:
            result += [option, word]
        else:
            has_value = True
            result.append(word)
    return result
