"""Rules: what is done when jobs fail, and does it help? Read only: `panda rules` edits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pandascope.addresses import Address, Page
from tui.render.rule_columns import deed_columns, fault_words, rule_columns
from tui.screens.base import Answer
from tui.screens.pair import PairScreen
from tui.widgets.virtual_table import Column, Row

_DEEDS = 100


class RulesScreen(PairScreen):
    """The rules with what each did; below, what they did lately: enter there opens the job."""

    HELP = (
        "A passive rule only notes what it would have done. 'panda rules change N ...' edits, 'panda rules try' tries."
    )
    ROWS = "rules"
    NOUN = ("rule", "rules")
    KEY = "rule_id"
    ROWS_BELOW = "deeds"
    KEY_BELOW = "deed_id"
    TITLE_BELOW = "What rules did lately"
    EMPTY_BELOW = "nothing yet: what a rule does about a failed job is noted here"

    @property
    def topics(self) -> Sequence[str]:
        """Jobs: when they fail, rules act."""
        return ("jobs",)

    def columns(self) -> list[Column]:
        """The columns of rules."""
        return rule_columns(self.palette, self.console_app.now)

    def columns_below(self) -> list[Column]:
        """The columns of deeds."""
        return deed_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """Rules, deeds, and whose fault the failures of a day were."""
        faults, answer = await asyncio.gather(self.console_app.client.faults(), self._rules())
        return {**answer, "faults": faults["classes"]}

    async def ask_live(self) -> Answer:
        """Without the faults: for those up to 200 000 jobs are looked at."""
        return {**await self._rules(), "faults": (self.answer or {}).get("faults") or {}}

    async def _rules(self) -> Answer:
        client = self.console_app.client
        answer, log = await asyncio.gather(client.retry_rules(), client.retry_log(limit=_DEEDS))
        rules = [{**row, "as_of": answer["as_of"]} for row in answer["rules"]]
        return {**answer, "rules": rules, "deeds": log["deeds"]}

    def words_below(self, answer: Answer) -> str:
        """Nothing yet, or whose fault failures were."""
        return super().words_below(answer) or f"failed in 24 h: {fault_words(answer['faults'])}"

    def nothing(self) -> str:
        """Without rules."""
        return "There is no rule: the limits of tasks decide alone. 'panda rules add' makes one."

    def open_below(self, row: Row) -> None:
        """To the job."""
        self.console_app.drill(Address(Page.JOB, int(row["panda_id"])))
