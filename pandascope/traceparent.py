"""To which trace the calls of this program belong: the `traceparent` of W3C Trace Context, where there is any.

Needs no package: a program that traces has OpenTelemetry loaded already, one that was started within a trace has
TRACEPARENT in its environment. Everybody else sends nothing.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

HEADER = "traceparent"
_VARIABLE = "TRACEPARENT"
_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def outgoing() -> dict[str, str]:
    """The header to send with a call: of the span around it, else of the environment; empty without a trace."""
    said = _of_span(sys.modules.get("opentelemetry.trace")) or os.environ.get(_VARIABLE, "")
    return {HEADER: said} if said and _VALID.fullmatch(said) else {}


def _of_span(trace: Any) -> str:
    """The span that the program is in, if it traces. What it loaded is its own: any version, or a half loaded one."""
    try:
        context = trace.get_current_span().get_span_context()
        return (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" if context.is_valid else ""
        )
    except (AttributeError, TypeError, ValueError):
        return ""
