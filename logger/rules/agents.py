"""The rule for the server's own loops: one that was due and did not begin hangs, or no process runs it."""

from __future__ import annotations

from datetime import timedelta

from core.agents.base import agents_here
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import AgentsLateParameters

_OWN = "rule_watcher"
"""Whoever looks cannot be late in its own eyes; /metrics looks at it."""

_GONE_AFTER = timedelta(hours=1)

# agent_runs whole: some forty rows
_AGENTS = """
SELECT name, host, next_run, last_run, duration_ms, last_error FROM agent_runs
WHERE next_run < %(now)s AND (name = ANY(%(here)s::text[]) OR next_run > %(hour_ago)s) AND name <> %(own)s
"""


class AgentsLate(MeasureRule[AgentsLateParameters]):
    """One trouble per agent. One whose last round took long may take as long again; after a start of the system all
    have the limit to begin. One that this process was not started with and that nobody has begun for an hour is none that
    is missing: it went with a release, or was turned off."""

    name = "agents_late"
    kind: Kind = "service"
    sentence = "A loop of the server has not begun its round when it was due."
    model = AgentsLateParameters
    is_quick = True
    recovers_s = 15.0

    def measure(self, look: Look, parameters: AgentsLateParameters) -> list[Measurement]:
        """Seconds since each agent was due."""
        values = {"now": look.now, "hour_ago": look.now - _GONE_AFTER, "own": _OWN, "here": sorted(agents_here())}
        found = []
        for row in look.transaction.fetch(_AGENTS, values):
            late_s = (look.now - row["next_run"]).total_seconds()
            usual_s = row["duration_ms"] / 1000
            error = f"; its last error: {row['last_error']}" if row["last_error"] else ""
            found.append(
                Measurement(
                    subject=row["name"],
                    value=late_s,
                    limit=self.limit(parameters, row["name"], usual_s),
                    title=f"The agent {row['name']} on {row['host']} has not run since {row['last_run']:%H:%M:%S} UTC",
                    grouping=f"It is one agent, {row['name']}, that does not begin its round.",
                    note=f"{row['name']} on {row['host']} was due {_ago(late_s)} ago{error}",
                    since=row["next_run"],
                    facts=Facts(host=row["host"], component=row["name"], error_class="central"),
                    usual=usual_s,
                    may_open=look.watching_s >= parameters.limit_s,
                )
            )
        return found

    def limit(self, parameters: AgentsLateParameters, subject: str, usual: float) -> float:
        """The limit, or twice its last round."""
        return max(parameters.limit_s, 2 * usual)


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
