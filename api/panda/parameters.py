"""The parameters of a v1 call, out of its query and its body in whichever form they came. Knows no endpoint.

As server-api.md 0 has it: JSON, a form or a multipart form. A body that does not say what it is counts as JSON when it begins
like it, which also helps who sends JSON with curl's own idea of a content type.
"""

from __future__ import annotations

from typing import Any

from api.bodies import gathered, parse_json, parse_multipart, parse_pairs, refuse_nul
from core.errors import InvalidInput


def sent_parameters(query: bytes, body: bytes, content_type: str, *, takes_binary: bool) -> dict[str, Any]:
    """Name -> value; a repeated name in query or form has a list, and what the body says counts.

    Raises InvalidInput for a body that is none of the forms, and naming the parameter that is not UTF-8 or holds a NUL;
    with `takes_binary` such bytes are replaced, and the endpoint cleans its texts itself.
    """
    values = gathered(parse_pairs(query, takes_binary=takes_binary))
    media_type = content_type.partition(";")[0].strip().lower()
    document: dict[str, Any] = {}
    if media_type == "multipart/form-data":
        values |= gathered(parse_multipart(body, content_type, takes_binary=takes_binary))
    elif media_type == "application/json" or body[:64].lstrip().startswith((b"{", b"[", b'"')):
        document = _document(body, takes_binary)
    else:
        values |= gathered(parse_pairs(body, takes_binary=takes_binary))
    if not takes_binary:
        refuse_nul(values, "")
    return values | document


def _document(body: bytes, takes_binary: bool) -> dict[str, Any]:
    if takes_binary:
        body = body.decode(errors="replace").encode()
    document = parse_json(body, takes_binary=takes_binary) if body.strip() else {}
    if not isinstance(document, dict):
        raise InvalidInput("not a JSON object", field="body", remedy="send {name: value, ...}")
    return document
