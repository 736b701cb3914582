"""What the rules for failed jobs did about a job, in words, and where its input went next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tui.palette import Palette
from tui.text import plain


def retries(found: Mapping[str, Any] | None, palette: Palette) -> RenderableType | None:
    """One sentence, then each deed; nothing for a first attempt that went well."""
    if not found or not (found.get("deeds") or found.get("next") or found.get("previous")):
        return None
    whose = f"; a fault of the {found['error_class']}" if found.get("error_class") in ("system", "user") else ""
    parts: list[RenderableType] = [Text(plain(f"{found.get('sentence')}{whose}", limit=500), style=palette.text)]
    if found.get("previous"):
        parts.append(Text(f"before it: job {found['previous']}", style=palette.muted))
    for deed in found.get("deeds") or []:
        who = f"rule {deed['rule_id']}" if deed.get("rule_id") else "class"
        head = f"{who}  {plain(deed.get('error_source'))}:{deed.get('error_code')} {plain(deed.get('action'))}"
        text = Text(head, style=palette.waiting if deed.get("has_acted") else palette.muted)
        text.append(
            f"  {plain(deed.get('effect'), limit=500)}", palette.text if deed.get("has_acted") else palette.muted
        )
        parts.append(text)
    return Group(*parts)
