"""Completion of the command line: the first candidate is shown dim, tab takes it. Knows no commands itself."""

from __future__ import annotations

from collections.abc import Callable

from textual.suggester import Suggester


class LineSuggester(Suggester):
    """Offers the first line that `candidates(text)` returns."""

    def __init__(self, candidates: Callable[[str], list[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._candidates = candidates

    async def get_suggestion(self, value: str) -> str | None:
        """The likeliest whole line, or None."""
        return next(iter(self._candidates(value)), None)
