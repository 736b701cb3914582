"""What can be done about the rules that open incidents: edit, try on the past, switch, restore, add, remove.

A change names the version that was read, so that nobody writes over somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashboard.components import alarm_words
from dashboard.components.openings import back_test
from dashboard.works import Question, Shown, Values, Work
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_SEVERITIES = (("critical", "critical"), ("error", "error"), ("warning", "warning"))
_DAYS = (("1", "1 day"), ("3", "3 days"), ("7", "7 days"), ("14", "14 days"), ("30", "30 days"))
_TRIED = Question("days", "Tried on the past", "choice", "7", _DAYS)
_YES_NO = (("true", "yes"), ("false", "no"))
_BOUNDS = (("at_least", "at least"), ("more_than", "more than"), ("at_most", "at most"), ("less_than", "less than"))


def parameter_questions(evaluator: Mapping[str, Any], given: Mapping[str, Any]) -> list[Question]:
    """One question for each parameter, with its meaning, its range and its present value."""
    return [_parameter(one, given.get(one["name"], one["default"])) for one in evaluator["parameters"]]


def _parameter(one: Mapping[str, Any], value: Any) -> Question:
    name = f"p:{one['name']}"
    unit = alarm_words.unit(str(one["name"]))
    label = alarm_words.label(str(one["name"])) + (f" ({unit})" if unit else "")
    bounds = ", ".join(f"{words} {_words(float(one[key]))}" for key, words in _BOUNDS if one.get(key) is not None)
    hint = " ".join(part for part in (alarm_words.meaning(one), f"({bounds})" if bounds else "") if part)
    if one["type"] == "boolean":
        return Question(name, label, "choice", "true" if value else "false", _YES_NO, hint)
    if one.get("one_of"):
        return Question(name, label, "choice", str(value), [(str(each), str(each)) for each in one["one_of"]], hint)
    return Question(name, label, value=_words(value), hint=hint)


def _words(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{int(value)}"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)


def parameters_of(evaluator: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The parameters as the server takes them. Raises Usage for what is no number where one is wanted."""
    found: dict[str, Any] = {}
    for one in evaluator["parameters"]:
        text = values.get(f"p:{one['name']}", "")
        found[one["name"]] = _typed(one, text)
    return {name: value for name, value in found.items() if value is not None}


def _typed(one: Mapping[str, Any], text: str) -> Any:
    kind = one["type"]
    if kind == "boolean":
        return text == "true"
    if kind in ("integer", "number"):
        if not text:
            return None
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            raise Usage(f"'{text}' is no {'whole ' if kind == 'integer' else ''}number", field=one["name"]) from None
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


async def _found(client: AsyncClient, to: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The rule and evaluator that a button means by the rule's name, and the version that its page showed."""
    name, _, version = to.partition(":")
    answer = await client.incident_rules()
    rule = next((row for row in answer["rules"] if row["name"] == name), None)
    if rule is None:
        raise Usage(f"there is no rule {name} any more", field="name", remedy="look at the list")
    return rule, _evaluator(answer, rule["evaluator"]), int(version or rule["version"])


def _evaluator(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    for one in answer["evaluators"]:
        if one["name"] == name:
            return dict(one)
    raise Usage(f"there is nothing called {name} that a rule could look at", field="evaluator")


def _common(rule: Mapping[str, Any], evaluator: Mapping[str, Any]) -> list[Question]:
    return [
        Question("title", "Title of its incidents", value=str(rule.get("title") or "")),
        Question("severity_floor", "At least", "choice", str(rule.get("severity_floor") or "error"), _SEVERITIES),
        *parameter_questions(evaluator, rule.get("parameters") or {}),
        _TRIED,
    ]


async def _edit_questions(client: AsyncClient, to: str) -> Sequence[Question]:
    rule, evaluator, _ = await _found(client, to)
    return _common(rule, evaluator)


def _changes(evaluator: Mapping[str, Any], values: Values) -> dict[str, Any]:
    return {
        "title": values["title"],
        "severity_floor": values["severity_floor"],
        "parameters": parameters_of(evaluator, values),
    }


async def _try_edit(client: AsyncClient, to: str, values: Values) -> Shown:
    rule, evaluator, _ = await _found(client, to)
    days = float(values["days"])
    answer = await client.try_incident_rule({"rule_id": rule["rule_id"], **_changes(evaluator, values)}, days)
    return Shown(back_test(answer, days))


async def _edit(client: AsyncClient, to: str, values: Values) -> str:
    rule, evaluator, version = await _found(client, to)
    row = await client.change_incident_rule(rule["rule_id"], version, _changes(evaluator, values))
    return f"Rule {row['name']} is at version {row['version']}."


async def _add_questions(client: AsyncClient, to: str) -> Sequence[Question]:
    evaluator = _evaluator(await client.incident_rules(), to)
    kinds = [(kind, str(kind).replace("_", " ")) for kind in evaluator["kinds"]]
    return [
        Question("name", "Name", hint="small letters, digits and _"),
        Question("kind", "Kind of its incidents", "choice", kinds[0][0], kinds),
        *_common({}, evaluator),
    ]


def _new(evaluator: Mapping[str, Any], values: Values) -> dict[str, Any]:
    named = {"name": values["name"], "evaluator": evaluator["name"], "kind": values["kind"]}
    return {**named, **_changes(evaluator, values)}


async def _try_new(client: AsyncClient, to: str, values: Values) -> Shown:
    evaluator = _evaluator(await client.incident_rules(), to)
    days = float(values["days"])
    return Shown(back_test(await client.try_incident_rule(_new(evaluator, values), days), days))


async def _add(client: AsyncClient, to: str, values: Values) -> str:
    evaluator = _evaluator(await client.incident_rules(), to)
    row = await client.add_incident_rule(_new(evaluator, values))
    return f"Rule {row['name']} is there and {'active' if row['is_active'] else 'switched off'}."


def _switch(is_active: bool) -> Any:
    async def carry_out(client: AsyncClient, to: str, values: Values) -> str:
        number, _, version = to.partition(":")
        row = await client.change_incident_rule(int(number), int(version), {"is_active": is_active})
        return f"Rule {row['name']} is {'on' if is_active else 'off: it opens nothing'}."

    return carry_out


async def _restore(client: AsyncClient, to: str, values: Values) -> str:
    number, version, wanted = (int(part) for part in to.split(":"))
    row = await client.restore_incident_rule(number, version, wanted)
    return f"Rule {row['name']} is as it was at version {wanted}; that is version {row['version']} now."


async def _remove(client: AsyncClient, to: str, values: Values) -> str:
    rule, _, version = await _found(client, to)
    row = await client.remove_incident_rule(rule["rule_id"], version)
    return f"Rule {row['name']} is gone."


_TRY = "Try it"
WORKS: tuple[Work, ...] = (
    Work(
        "edit-alarm",
        "Edit rule {to}",
        _edit,
        "Keep",
        ask=_edit_questions,
        show=_try_edit,
        shows_at_once=False,
        try_words=_TRY,
        is_wide=True,
        sentence="Trying changes nothing: it says when the rule would have opened incidents.",
    ),
    Work(
        "add-alarm",
        "Add a rule: {to}",
        _add,
        "Add",
        ask=_add_questions,
        show=_try_new,
        shows_at_once=False,
        try_words=_TRY,
        is_wide=True,
        sentence="Trying changes nothing: it says when the rule would have opened incidents.",
    ),
    Work("alarm-on", "Switch on", _switch(True), is_instant=True),
    Work("alarm-off", "Switch off", _switch(False), is_instant=True),
    Work("restore-alarm", "Restore {to}", _restore, is_instant=True),
    Work(
        "remove-alarm",
        "Remove rule {to}",
        _remove,
        "Remove",
        sentence="Its versions stay in the history; its incidents stay.",
    ),
)
