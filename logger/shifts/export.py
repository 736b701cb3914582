"""A shift as one Markdown document: the handover as it was signed, the notes that came after, and the signatures."""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Row
from logger.texts import markdown_safe, one_line


def as_markdown(shift: Row, text: str, notes: Sequence[Row]) -> str:
    """The document. `text`: the handover, as signed or as it would be now, which stands unchanged above the line so that
    its digest can be checked; `notes`: all of the shift."""
    lines = [text, "", "---", "", *_signatures(shift)]
    later = [note for note in notes if shift["outgoing_time"] is not None and note["time"] > shift["outgoing_time"]]
    if later:
        lines += ["", "## Noted after the signature", ""]
        lines += [f"- {note['time']:%H:%M} {_say(note['who'])}: {_say(note['text'])}" for note in later]
    return "\n".join(lines) + "\n"


def _signatures(shift: Row) -> list[str]:
    if not shift["outgoing_by"]:
        over = shift["state"] == "handed_over"
        return ["Nobody signed this handover; the next shift began long after its time." if over else "Not signed yet."]
    lines = [f"Handed over by {_say(shift['outgoing_by'])}, {shift['outgoing_time']:%Y-%m-%d %H:%M} UTC."]
    if shift["incoming_by"]:
        lines.append(f"Taken over by {_say(shift['incoming_by'])}, {shift['incoming_time']:%Y-%m-%d %H:%M} UTC.")
    else:
        lines.append("Nobody has taken over yet.")
    return [*(f"{line}  " for line in lines), f"SHA-256 of the text above the line: `{shift['digest']}`"]


def _say(text: str) -> str:
    return markdown_safe(one_line(text, 4000))
