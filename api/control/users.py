"""Users: banning them, and giving them special permissions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

import core.identity
from api.identity.access import Access
from api.operations import Context, operation
from api.strict import StrictBody


class UserBody(StrictBody):
    """What is set of a user; what is left out stays."""

    status: Literal["active", "disabled"] | None = None
    """disabled: every call is refused with 403, within ten seconds."""
    permissions: str | None = Field(None, max_length=10)
    """Letters: p (tokens and proxies), k (key pairs), t (token keys); empty takes all away."""
    subject: str | None = Field(None, max_length=1000)
    """Whose name it is (issuer#subject); empty lets the next who comes with it have it."""


@operation("PUT", "/api/control/user/{user_name}", access=Access.ADMIN)
def set_user(context: Context, user_name: str, body: UserBody) -> dict[str, Any]:
    """Ban or unban a user, set special permissions, or free the name."""
    changes, who = body.model_dump(exclude_none=True), context.caller.user_name
    return {"user": core.identity.set_user(context.database, user_name, changes, who=who)}
