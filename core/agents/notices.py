"""Tells owners when their tasks end or wait for them: a record in the log always, a letter where one can be sent."""

from __future__ import annotations

import logging

from core.agents.base import Agent
from core.database import Database, Row
from core.notices import outbox
from core.notices.letters import letter_about
from core.notices.post import Door, NotEver, NotKnown, NotNow, post
from core.text import clean
from core.wording import counted
from core.workload_settings import MailSettings

log = logging.getLogger("panda.notices")

_COMPONENT = "notices"
_LETTERS_PER_CYCLE = 20


class Notices(Agent):
    """News of tasks, and the letters that are due."""

    name = "notices"

    def __init__(self, database: Database, mail: MailSettings, period_s: float) -> None:
        self._database = database
        self._mail = mail
        self.period_s = period_s

    def cycle(self) -> int:
        """Tell what is new, then send what is due; returns how many tasks were told of and letters sent."""
        news = outbox.take_news(self._database, self._mail)
        for item in news:
            extra = {"component": _COMPONENT, "jedi_task_id": item.jedi_task_id, "user": item.user_name}
            to = f", {item.address} is told" if item.address else ""
            log.info("task %d of %s is %s%s", item.jedi_task_id, item.user_name, item.status, to, extra=extra)
        for task_id in outbox.lose_abandoned(self._database):
            self._warn(task_id, "may not have arrived: whoever sent it was stopped")
        return len(news) + (self._send_due() if self._mail.server else 0)

    def _send_due(self) -> int:
        """Letters one by one; a server that is away is not asked again in this cycle."""
        for sent in range(_LETTERS_PER_CYCLE):
            notice = outbox.claim(self._database)
            if notice is None or not self._send(notice):
                return sent
        return _LETTERS_PER_CYCLE

    def _send(self, notice: Row) -> bool:
        notice_id, task_id = notice["notice_id"], notice["jedi_task_id"]
        letter = letter_about(self._database, notice, self._mail.sender)
        if letter is None:
            outbox.note_given_up(self._database, notice_id, "the task is gone", state="failed")
            return True
        try:
            post(Door(self._mail.server, self._mail.tls, self._mail.user, self._mail.password), letter)
        except NotNow as error:
            if not outbox.note_later(self._database, notice, clean(error, 500)):
                self._warn(task_id, f"was given up after {counted(notice['attempts'], 'attempt')}: {error}")
            return False
        except (NotEver, NotKnown) as error:
            state = "failed" if isinstance(error, NotEver) else "lost"
            outbox.note_given_up(self._database, notice_id, clean(error, 500), state=state)
            self._warn(task_id, f"is {state}: {error}")
        else:
            outbox.note_sent(self._database, notice_id)
        return True

    def _warn(self, task_id: int, what: str) -> None:
        log.warning(
            "the letter about task %d %s", task_id, what, extra={"component": _COMPONENT, "jedi_task_id": task_id}
        )
