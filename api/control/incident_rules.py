"""Rules that open incidents: operators add, change, turn on and off, restore and remove them, and try them first."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.strict import Id, StrictBody
from core.errors import InvalidInput, UnknownObject
from logger import rule_rows
from logger.backtest import MAX_DAYS, back_test
from logger.rule_rows import Editor, RuleDraft


class RuleBody(StrictBody):
    """A rule, or what of it changes; `parameters` are given whole."""

    kind: str | None = Field(None, max_length=50)
    """Kind of the incidents that it opens; empty: the evaluator's own."""
    title: str | None = Field(None, max_length=rule_rows.MAX_TITLE_CHARACTERS)
    parameters: dict[str, Any] | None = None
    """By the names of its evaluator (GET /api/monitor/incident-rules); what is left out has its default."""
    severity_floor: str | None = Field(None, max_length=20)
    """critical, error or warning; impact may raise it."""
    is_active: bool | None = None
    via: Literal["api", "cli", "console", "web"] = "api"

    def given(self) -> dict[str, Any]:
        """What of the rule was given."""
        named = self.model_dump(include={"kind", "title", "parameters", "severity_floor", "is_active"})
        return {name: value for name, value in named.items() if value is not None}


class NewRuleBody(RuleBody):
    """A rule to be."""

    name: str = Field(max_length=100)
    evaluator: str = Field(max_length=100)


class ChangedRuleBody(RuleBody):
    """What of a rule changes."""

    version: Id
    """The version that its editor saw."""
    restore: Id | None = None
    """The version that it shall be as again, instead of single changes."""


class RemovedRuleQuery(BaseModel):
    """Which version is taken away."""

    version: Id | None = Field(None, description="as it was seen; else whichever is in force")
    via: Literal["api", "cli", "console", "web"] = "api"


class TriedRuleBody(RuleBody):
    """A rule to be, or a present one with what would change, and how far back to look."""

    rule_id: Id | None = None
    """A present rule: what is left out is as it says."""
    name: str | None = Field(None, max_length=100)
    evaluator: str | None = Field(None, max_length=100)
    days: float = Field(7, gt=0, le=MAX_DAYS)


@operation("POST", "/api/control/incident-rules", access=Access.OPERATOR)
def add_incident_rule(context: Context, body: NewRuleBody) -> Created:
    """Make a rule."""
    draft = RuleDraft(name=body.name, evaluator=body.evaluator, **body.given())
    return Created({"rule": rule_rows.add_rule(context.database, draft, _editor(context, body.via))})


@operation("PUT", "/api/control/incident-rule/{rule_id}", access=Access.OPERATOR)
def change_incident_rule(context: Context, rule_id: int, body: ChangedRuleBody) -> dict[str, Any]:
    """Change a rule, turn it on or off, or bring a version back; refused when somebody else changed it meanwhile."""
    editor, given = _editor(context, body.via), body.given()
    if body.restore is not None:
        if given:
            raise InvalidInput("comes with other changes", field="restore", remedy="restore first, then change")
        row = rule_rows.restore_version(context.database, rule_id, body.version, body.restore, editor)
    elif given.keys() == {"is_active"}:
        row = rule_rows.set_active(context.database, rule_id, body.version, given["is_active"], editor)
    else:
        row = rule_rows.change_rule(context.database, rule_id, body.version, given, editor)
    return {"rule": row}


@operation("DELETE", "/api/control/incident-rule/{rule_id}", access=Access.OPERATOR)
def remove_incident_rule(context: Context, rule_id: int, query: RemovedRuleQuery) -> dict[str, Any]:
    """Take a rule away that people made; what it measured ends, its versions stay."""
    editor = _editor(context, query.via)
    return {"rule": rule_rows.remove_rule(context.database, rule_id, query.version, editor)}


@operation("POST", "/api/control/incident-rules/try", access=Access.OPERATOR)
def try_incident_rule(context: Context, body: TriedRuleBody) -> dict[str, Any]:
    """Say when a rule would have opened incidents in the stored past, and which ones it would have missed."""
    draft = _tried(context, body)
    return back_test(context.read_database, draft, body.days, context.services.clock()).as_document()


def _tried(context: Context, body: TriedRuleBody) -> RuleDraft:
    given = body.given()
    if body.rule_id is not None:
        present = rule_rows.rule_row(context.read_database, body.rule_id)
        if present is None:
            raise UnknownObject(f"there is no rule {body.rule_id}", field="rule_id", remedy="see `panda alarms list`")
        if body.evaluator not in (None, present["evaluator"]):
            raise InvalidInput("a rule keeps its own", field="evaluator", remedy="leave it out, or leave rule_id out")
        kept = {name: present[name] for name in ("kind", "title", "parameters", "severity_floor")}
        return RuleDraft(name=present["name"], evaluator=present["evaluator"], **{**kept, **given})
    if body.evaluator is None:
        raise InvalidInput("left out", field="evaluator", remedy="name it, or a rule_id")
    return RuleDraft(name=body.name or "tried", evaluator=body.evaluator, **given)


def _editor(context: Context, via: str) -> Editor:
    caller = context.caller
    return Editor(caller.user_name, via, caller.roles)
