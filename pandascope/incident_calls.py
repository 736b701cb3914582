"""What both clients can ask of the incident store: one transcription of docs/api.md for threads and for coroutines.

Every method answers with a document: `Client` gives it, `AsyncClient` something that is awaited for it. Nothing is sent here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pandascope.calls import control_call, monitor_call
from pandascope.steps import Call
from pandascope.transport import Request, unwrap

Answer = TypeVar("Answer")


class IncidentCalls(ABC, Generic[Answer]):
    """Incidents, what people do about them, and what is written down of that. Changes need an operator unless noted."""

    via = "api"
    """Where deeds come from, as the audit shows it: api, cli, console or web."""

    @abstractmethod
    def _document(self, call: Call) -> Answer:
        """Carry out one call."""

    def caller(self) -> Answer:
        """Who the server takes the caller for: user_name, as deeds name people, vo, roles, groups."""
        return self._document(Call(Request("GET", "/api/v1/system/get_user_attributes"), unwrap))

    # incidents

    def incidents(self, **filters: Any) -> Answer:
        """A page of incidents, worst first; candidates=1 shows troubles too that are only counted."""
        return self._document(monitor_call("incidents", filters))

    def incident(self, incident_id: int) -> Answer:
        """One incident: verdict, culprit line, jobs, silences, links, deeds, previous occurrences, history."""
        return self._document(monitor_call(f"incident/{int(incident_id)}"))

    def compare_incidents(self, incident_id: int, other: int) -> Answer:
        """Which part of the fingerprints of two incidents differs."""
        return self._document(monitor_call(f"incident/{int(incident_id)}/compare", {"with": int(other)}))

    def acknowledge(self, incident_id: int, comment: str | None = None) -> Answer:
        """Take care of an incident; its row."""
        return self._change(incident_id, "acknowledge", comment)

    def resolve(self, incident_id: int, comment: str | None = None, *, reason: str = "") -> Answer:
        """Say that an incident is over (reason: fixed, not_a_problem, duplicate, moved); its row."""
        return self._change(incident_id, "resolve", comment, **({"reason": reason} if reason else {}))

    def reopen(self, incident_id: int, comment: str | None = None) -> Answer:
        """Say that an incident is not over, or that nobody has it any more; its row."""
        return self._change(incident_id, "reopen", comment)

    def assign(self, incident_id: int, who: str, comment: str | None = None) -> Answer:
        """Ask somebody to look at an incident; empty: nobody any more. Its row."""
        return self._change(incident_id, "assign", comment, who=who)

    def comment(self, incident_id: int, text: str) -> Answer:
        """Write down what is known of an incident; its row."""
        return self._change(incident_id, "comment", text)

    def hold(self, incident_id: int, comment: str | None = None) -> Answer:
        """Keep automation from ending an incident and from changing how severe it is; its row."""
        return self._change(incident_id, "hold", comment)

    def release(self, incident_id: int, comment: str | None = None) -> Answer:
        """Let automation act on an incident again; its row."""
        return self._change(incident_id, "release", comment)

    def set_severity(self, incident_id: int, severity: str, comment: str | None = None) -> Answer:
        """Say how severe an incident is (critical, error, warning); its row."""
        return self._change(incident_id, "severity", comment, severity=severity)

    def set_links(self, incident_id: int, links: Sequence[Mapping[str, str]], comment: str | None = None) -> Answer:
        """All links of an incident, each {"title", "url"}; they take the place of those before. Its row."""
        return self._change(incident_id, "links", comment, links=[dict(link) for link in links])

    def open_incident(
        self,
        title: str,
        *,
        severity: str = "error",
        queue: str = "",
        task: int | None = None,
        text: str = "",
        panda_ids: Sequence[int] = (),
    ) -> Answer:
        """Open an incident that no rule saw; its row."""
        said = _given(queue=queue, task=task, text=text, panda_ids=list(panda_ids))
        body = {"title": title, "severity": severity, **said, "via": self.via}
        return self._document(control_call("POST", "incidents", body, key="incident"))

    def merge_incident(self, incident_id: int, into: int, comment: str = "") -> Answer:
        """Put all of an incident into another, what is there and what will come: {"incident", "link"}."""
        body = {"into": int(into), "comment": comment, "via": self.via}
        return self._document(control_call("POST", f"incident/{int(incident_id)}/merge", body))

    def split_incident(self, incident_id: int, dimension: str, value: str, comment: str = "") -> Answer:
        """Make what has one value (dimension: computing_site, jedi_task_id, ...) an incident of its own:
        {"incident", "link"}."""
        body = {"dimension": dimension, "value": str(value), "comment": comment, "via": self.via}
        return self._document(control_call("POST", f"incident/{int(incident_id)}/split", body))

    def undo_link(self, link_id: int) -> Answer:
        """Take a merge or a split back: {"incident", "link"}."""
        return self._document(self._take_back(f"fingerprint-link/{int(link_id)}"))

    # silences

    def silences(self, **filters: Any) -> Answer:
        """Silences in force, newest first; ended=1 shows those that are over too."""
        return self._document(monitor_call("silences", filters))

    def silence_incident(self, incident_id: int, until_kind: str = "time", until: str = "", reason: str = "") -> Answer:
        """Tell nobody of an incident until something ends that (time, shift, doubles, second_queue, fixed; `until` with
        time: 30m, 2h, ISO 8601): {"incident", "silence"}."""
        body = {"until_kind": until_kind, "until": until, "reason": reason, "via": self.via}
        return self._document(control_call("POST", f"incident/{int(incident_id)}/silence", body))

    def silence_matching(
        self, matcher: Mapping[str, str], until_kind: str = "time", until: str = "", reason: str = ""
    ) -> Answer:
        """Tell nobody of what filters of the incident list find, now and until a time: {"silence", "incidents"}."""
        body = {"matcher": dict(matcher), "until_kind": until_kind, "until": until, **self._why(reason)}
        return self._document(control_call("POST", "silences", body))

    def end_silence(self, silence_id: int) -> Answer:
        """End a silence before its time; the silence."""
        return self._document(self._take_back(f"silence/{int(silence_id)}", "silence"))

    # actions with a preview

    def preview_action(
        self,
        action: str,
        *,
        incidents: Sequence[int] = (),
        jobs: Sequence[int] = (),
        tasks: Sequence[int] = (),
        queues: Sequence[str] = (),
        filter: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        reason: str = "",
        accept_ended: bool = False,
    ) -> Answer:
        """What an action would do, with counts, and the token that confirms it once; changes nothing. Users may kill and
        retry what is theirs."""
        chosen = {"incidents": list(incidents), "jobs": list(jobs), "tasks": list(tasks), "queues": list(queues)}
        body = {
            "action": action,
            **{name: found for name, found in chosen.items() if found},
            "filter": dict(filter or {}),
            "parameters": dict(parameters or {}),
            "accept_ended": accept_ended,
            "reason": reason,
            "via": self.via,
        }
        return self._document(control_call("POST", "actions/preview", body))

    def confirm_action(self, token: str, reason: str = "") -> Answer:
        """Do what a preview showed; the deed. Raises Refused with the code preview_outdated when the set changed: its
        `problem` has the `difference` and a fresh `preview`."""
        body = {"token": token, "reason": reason, "via": self.via}
        return self._document(control_call("POST", "actions/confirm", body, key="deed"))

    def undo_deed(self, deed_id: int, reason: str = "") -> Answer:
        """Put back what a deed changed; the deed that did so."""
        return self._document(control_call("POST", f"deed/{int(deed_id)}/undo", self._why(reason), key="deed"))

    def cancel_revert(self, deed_id: int, reason: str = "") -> Answer:
        """Let what a deed did stay, though it was to take itself back; the deed."""
        return self._document(control_call("POST", f"deed/{int(deed_id)}/cancel-revert", self._why(reason), key="deed"))

    def deeds(self, **filters: Any) -> Answer:
        """What people did, newest first, and which actions there are."""
        return self._document(monitor_call("deeds", filters))

    def deed(self, deed_id: int) -> Answer:
        """One deed with its targets."""
        return self._document(monitor_call(f"deed/{int(deed_id)}"))

    def audit(self, **filters: Any) -> Answer:
        """Who did what to which object, with before and after, newest first."""
        return self._document(monitor_call("audit", filters))

    # rules that open incidents

    def incident_rules(self, **filters: Any) -> Answer:
        """The rules that open incidents, with what they did, and the evaluators that there are."""
        return self._document(monitor_call("incident-rules", filters))

    def incident_rule_versions(self, rule_id: int) -> Answer:
        """Every version of a rule, newest first, and what it measured last."""
        return self._document(monitor_call(f"incident-rule/{int(rule_id)}/versions"))

    def add_incident_rule(self, rule: Mapping[str, Any]) -> Answer:
        """Make a rule (name, evaluator, kind, title, parameters, severity_floor, is_active); its row."""
        return self._document(control_call("POST", "incident-rules", {**rule, "via": self.via}, key="rule"))

    def change_incident_rule(self, rule_id: int, version: int, changes: Mapping[str, Any]) -> Answer:
        """Change a rule as it was at a version that was seen; what is left out stays, parameters are given whole. Its row."""
        body = {**changes, "version": int(version), "via": self.via}
        return self._document(control_call("PUT", f"incident-rule/{int(rule_id)}", body, key="rule"))

    def restore_incident_rule(self, rule_id: int, version: int, wanted: int) -> Answer:
        """Bring a rule back to what an earlier version said; its row. `version`: the one that was seen."""
        return self.change_incident_rule(rule_id, version, {"restore": int(wanted)})

    def remove_incident_rule(self, rule_id: int, version: int | None = None) -> Answer:
        """Take a rule away that people made; the row it had."""
        query = {"version": version, "via": self.via}
        request = Request("DELETE", f"/api/control/incident-rule/{int(rule_id)}", query)
        return self._document(Call(request, lambda answer: answer["rule"]))

    def try_incident_rule(self, rule: Mapping[str, Any], days: float = 7) -> Answer:
        """When a rule would have opened incidents in the stored past; {"rule_id"}: a present rule, as it would be changed."""
        return self._document(control_call("POST", "incident-rules/try", {**rule, "days": days}, timeout_s=60.0))

    # notices

    def notices(self, **filters: Any) -> Answer:
        """What was told where of which change, newest first."""
        return self._document(monitor_call("notices", filters))

    def notice_routes(self) -> Answer:
        """Where changes of incidents are told, with how each route goes."""
        return self._document(monitor_call("notice-routes"))

    def add_notice_route(self, route: Mapping[str, Any]) -> Answer:
        """Add a route (name, channel, target, matcher, changes, ...); its row."""
        return self._document(control_call("POST", "notice-routes", {**route, "via": self.via}, key="route"))

    def change_notice_route(self, route_id: int, version: int, changes: Mapping[str, Any]) -> Answer:
        """Change a route as it was at a version that was seen; its row."""
        body = {**changes, "version": int(version), "via": self.via}
        return self._document(control_call("PUT", f"notice-route/{int(route_id)}", body, key="route"))

    def remove_notice_route(self, route_id: int) -> Answer:
        """Remove a route; the row it had."""
        return self._document(self._take_back(f"notice-route/{int(route_id)}", "route"))

    def test_notice_route(self, route_id: int) -> Answer:
        """Send one message to a route at once; what its receiver answered."""
        path = f"/api/control/notice-route/{int(route_id)}/test"
        return self._document(Call(Request("POST", path, {"via": self.via}), lambda answer: answer["test"]))

    # the shift log; without a number the running shift

    def shifts(self, **filters: Any) -> Answer:
        """Shifts, newest first, with the watch that it is by the plan."""
        return self._document(monitor_call("shifts", filters))

    def shift(self, shift_id: int) -> Answer:
        """One shift with its notes and its handover draft (Markdown)."""
        return self._document(monitor_call(f"shift/{int(shift_id)}"))

    def shift_markdown(self, shift_id: int) -> Answer:
        """The handover with its signatures as a document to keep: {"markdown"}."""
        request = Request("GET", f"/api/monitor/shift/{int(shift_id)}", {"format": "markdown"}, is_text=True)
        return self._document(Call(request, lambda text: {"markdown": text}))

    def start_shift(self, name: str = "", people: Sequence[str] = ()) -> Answer:
        """Begin a shift where nobody has the watch; its row. Without people the caller has it."""
        return self._shift("start", None, **_given(name=name, people=list(people)))

    def note_shift(self, shift_id: int | None, text: str, incident_id: int | None = None) -> Answer:
        """Write something down for those who come; the note."""
        return self._shift("note", shift_id, key="note", text=text, **_given(incident_id=incident_id))

    def edit_draft(self, shift_id: int | None, draft: str, seen: str | None = None) -> Answer:
        """Put a text in place of the handover draft (empty: the draft again); the shift. `seen`: the shift's draft_time as
        it was read, so that nobody's words are written over."""
        return self._shift("draft", shift_id, draft=draft, **_given(seen=seen))

    def sign_out(self, shift_id: int | None = None, digest: str = "") -> Answer:
        """Sign a handover as one who goes: its text is frozen; the shift. `digest`: `draft_digest` of the shift as it was
        read, so that nothing else is signed."""
        return self._shift("sign-out", shift_id, **_given(digest=digest))

    def sign_in(self, shift_id: int | None = None, people: Sequence[str] = (), digest: str = "") -> Answer:
        """Sign a handover as one who comes, who is somebody else; the shift that begins. `digest`: of the text that was
        read."""
        return self._shift("sign-in", shift_id, **_given(people=list(people), digest=digest))

    # records

    def records(self, **filters: Any) -> Answer:
        """Log records, newest first; of the last hour unless a window, a job, a task or an incident is named."""
        return self._document(monitor_call("records", filters))

    def record_counts(self, **filters: Any) -> Answer:
        """How many records there were per hour and level, who said most, and what is stored of each day."""
        return self._document(monitor_call("record-counts", filters))

    def senders(self, **filters: Any) -> Answer:
        """The processes that send records, the last seen first."""
        return self._document(monitor_call("senders", filters))

    def _change(self, incident_id: int, what: str, comment: str | None, **said: Any) -> Answer:
        body = {**said, **({"comment": comment} if comment else {}), "via": self.via}
        return self._document(control_call("POST", f"incident/{int(incident_id)}/{quote(what)}", body, key="incident"))

    def _take_back(self, name: str, key: str = "") -> Call:
        request = Request("DELETE", f"/api/control/{name}", {"via": self.via})
        return Call(request, lambda answer: answer[key]) if key else Call(request)

    def _shift(self, what: str, shift_id: int | None, *, key: str = "shift", **said: Any) -> Answer:
        body = {**said, **_given(shift_id=shift_id), "via": self.via}
        return self._document(control_call("POST", f"shift/{what}", body, key=key))

    def _why(self, reason: str) -> dict[str, str]:
        return {"reason": reason, "via": self.via}


def _given(**said: Any) -> dict[str, Any]:
    """What was said at all."""
    return {name: value for name, value in said.items() if value not in (None, "", [])}
