"""Text that is safe in a terminal, and figures as people read them. Knows nothing of Textual.

Whatever comes from outside (messages, file names, log lines) passes `plain` before it is drawn: an escape sequence in a
payload's output must never reach the terminal of the person who reads it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from pandascope.log_lines import log_lines

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"  # two-character sequences
    r"|\x9b[0-?]*[ -/]*[@-~]",  # CSI in its one-byte form
    re.DOTALL,
)
_SPARKS = "▁▂▃▄▅▆▇█"
_NOT_SHOWN = "�"


def plain(value: object, *, limit: int = 100_000) -> str:
    """`value` as one line without escape sequences, control characters or direction overrides.

    Line breaks become a visible ⏎, tabs four blanks, other control characters the replacement character. Longer texts than
    `limit` characters are cut with an ellipsis.
    """
    text = "" if value is None else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    text = (
        _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "⏎").replace("\n", "⏎").replace("\r", "⏎").replace("\t", "    ")
    )
    return "".join(_shown(character) for character in text)


def plain_lines(text: str) -> list[str]:
    """The lines of a log, each safe to draw. An escape sequence ends at the end of its line."""
    return [plain(line.rstrip("\r")) for line in log_lines(text)]


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return _NOT_SHOWN
    return character


def age(seconds: float) -> str:
    """A distance in time with one unit: `3 s`, `12 min`, `5 h`, `3 d`."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 172_800:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86_400)} d"


def duration(seconds: float | None) -> str:
    """A length of time with two units: `4.2 s`, `3 min 05 s`, `2 h 10 min`; a dash when unknown."""
    if seconds is None:
        return "–"
    seconds = max(0.0, float(seconds))
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    if seconds < 172_800:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3600):02d} h"


def moment(value: object) -> datetime | None:
    """The time in an ISO 8601 text, None when there is none or it is not a time."""
    if not isinstance(value, str) or not value:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def clock(value: object) -> str:
    """A time of day in UTC, `10:04:31`."""
    parsed = moment(value)
    return parsed.astimezone(UTC).strftime("%H:%M:%S") if parsed else "–"


def stamp(value: object) -> str:
    """A date and time in UTC, `11-21 10:04:31`."""
    parsed = moment(value)
    return parsed.astimezone(UTC).strftime("%m-%d %H:%M:%S") if parsed else "–"


def until(value: object) -> str:
    """The end of something, `until 11-29 17:09 UTC`; `for good` when it has none."""
    parsed = moment(value)
    if parsed is None or parsed.year == 9999:
        return "for good"
    return f"until {parsed.astimezone(UTC):%m-%d %H:%M} UTC"


def milliseconds(value: float) -> str:
    """How long something short took, `4 ms`; from a second on as other durations."""
    return duration(value / 1000) if value >= 1000 else f"{value:.0f} ms"


def ago(value: object, now: datetime) -> str:
    """How long before `now` a time was, `3 min`; a dash when unknown."""
    parsed = moment(value)
    return age((now - parsed).total_seconds()) if parsed else "–"


def number(value: object) -> str:
    """A whole number with thin groups, `12 345`; a dash when unknown."""
    if not isinstance(value, int | float):
        return "–"
    return f"{int(value):,}".replace(",", " ")


def bytes_size(value: object) -> str:
    """A size in powers of 1000, `3.1 MB`."""
    if not isinstance(value, int | float):
        return "–"
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def core_hours(core_seconds: object) -> str:
    """Core-seconds as core-hours, `12.3`, small amounts as `<0.1`."""
    if not isinstance(core_seconds, int | float):
        return "–"
    hours = core_seconds / 3600
    if hours <= 0:
        return "0"
    if hours < 0.1:
        return "<0.1"
    return f"{hours:.1f}" if hours < 100 else number(hours)


def percent(fraction: object) -> str:
    """A share of one as per cent, `4.2 %`."""
    if not isinstance(fraction, int | float):
        return "–"
    return f"{fraction * 100:.1f} %" if 0 < fraction < 0.1 else f"{fraction * 100:.0f} %"


def sparkline(values: Sequence[float]) -> str:
    """Counts as a row of small bars; the highest fills the cell, a zero is the lowest mark."""
    highest = max(values, default=0)
    if highest <= 0:
        return "▁" * len(values)
    return "".join(_SPARKS[min(7, round(value / highest * 7))] if value > 0 else "▁" for value in values)


def bar(fraction: float, width: int) -> str:
    """A bar of `width` cells filled to `fraction`, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def plural(amount: int, one: str, many: str = "") -> str:
    """`1 job`, `2 jobs`."""
    return f"{number(amount)} {one if amount == 1 else many or one + 's'}"
