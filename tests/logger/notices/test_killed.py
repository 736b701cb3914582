"""A sender that is killed with a real signal at its worst moments: nothing goes out twice, what may be lost is said."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from logger.notices.outbox import LEASE_S
from logger.notices.routes import add_route
from tests.logger.notices.builders import HeldClock, opened, sender, states
from tests.support.hooks import http_hook
from tests.support.system import eventually

_SENDER = """
import sys, time
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database
from logger.notices.sending import NoticeSender
agent = NoticeSender(Database(sys.argv[1]), Settings(data=sys.argv[2]), utc_now, 1.0)
while True:
    agent.cycle()
    time.sleep(0.05)
"""


@pytest.mark.parametrize("options", [{}, {"may_repeat": True}])
def test_a_sender_killed_while_the_receiver_thinks(database, database_url, tmp_path, options):
    with http_hook() as hook:
        fields = {"name": "ops", "target": hook.address, "group_wait_s": 0, "options": options}
        route_id = add_route(database, fields, "ann")["route_id"]
        hook.holds = threading.Event()
        incident_id = opened(database, HeldClock(datetime.now(UTC)))
        process = subprocess.Popen([sys.executable, "-c", _SENDER, database_url, str(tmp_path)])
        try:
            eventually(lambda: hook.bodies, what="the message left")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        hook.holds.set()
        later = HeldClock(datetime.now(UTC) + timedelta(seconds=LEASE_S + 5))
        heir = sender(database, later, tmp_path)
        heir.cycle()
        heir.cycle()
        if options:  # for receivers that drop what they have by its number
            first, again = hook.messages
            assert first["message_id"] == again["message_id"] and first["notice_ids"] == again["notice_ids"]
            assert states(database, route_id) == [(incident_id, "opened", "sent", "")]
        else:
            assert hook.changes() == [(incident_id, "opened")]
            assert states(database, route_id) == [(incident_id, "opened", "lost", "")]
