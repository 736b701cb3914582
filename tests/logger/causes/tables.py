"""The tables of docs/causes.md as the code has them; `python -m tests.logger.causes.tables` writes them into the page."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

from core.error_codes import error_name
from logger.culprit import PATTERNS
from logger.culprit.cleaning import shown_culprit
from logger.steps import ERROR_CLASSES, STEPS, owner_hint

SAMPLES = Path(__file__).parent / "samples"
PAGE = Path(__file__).parents[3] / "docs" / "causes.md"
_MOST_SHOWN = 110


def sample_rows() -> list[dict[str, str]]:
    """One row per sample log: pattern, line_number, step, error_class."""
    with (SAMPLES / "samples.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def sample_log(pattern: str) -> str:
    """The sample log of a pattern."""
    return (SAMPLES / f"{pattern}.log").read_text(encoding="utf-8")


def tables() -> dict[str, str]:
    """Each table of the page by its name, as Markdown."""
    return {"patterns": _patterns(), "codes": _codes(), "classes": _classes()}


def with_tables(page: str) -> str:
    """The page with its tables as the code has them."""
    for name, table in tables().items():
        between = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page = between.sub(lambda match, table=table: f"{match[1]}{table}{match[2]}", page)
    return page


def _patterns() -> str:
    examples = {row["pattern"]: _example(row) for row in sample_rows()}
    rows = ["| # | pattern | example | which | step | class |", "| --- | --- | --- | --- | --- | --- |"]
    for number, pattern in enumerate(PATTERNS, start=1):
        rows.append(
            f"| {number} | {pattern.name} | {_code(examples[pattern.name])} | {pattern.pick} | {pattern.step or '='} | "
            f"{pattern.error_class or '='} |"
        )
    return "\n".join(rows) + "\n"


def _example(row: dict[str, str]) -> str:
    line = shown_culprit(sample_log(row["pattern"]).split("\n")[int(row["line_number"]) - 1])
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}…"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{' ' if fence == '``' else ''}{text}{' ' if fence == '``' else ''}{fence}".replace("|", "\\|")


def _codes() -> str:
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for (component, code), (step, error_class) in STEPS.items():
        groups[component, step, error_class].append(code)
    rows = ["| component | step | class | codes |", "| --- | --- | --- | --- |"]
    for (component, step, error_class), codes in groups.items():
        listed = ", ".join(f"{code} {error_name(component, code)}" for code in sorted(codes))
        rows.append(f"| {component} | {step or '='} | {error_class} | {listed} |")
    return "\n".join(rows) + "\n"


def _classes() -> str:
    rows = ["| class | who is usually asked | patterns |", "| --- | --- | --- |"]
    for error_class in ERROR_CLASSES:
        named = ", ".join(pattern.name for pattern in PATTERNS if pattern.error_class == error_class)
        rows.append(f"| {error_class} | {owner_hint(error_class) or '-'} | {named or '-'} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
