"""Any order of changes, receivers that come and go, and agents that are replaced: nothing is told twice, nothing is silent."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from core.states import IncidentState
from logger.notices.routes import add_route
from tests.logger.notices.builders import HeldClock, opened, sender, states, step
from tests.support.hooks import http_hook

_MOODS = ({"status": 200}, {"status": 503}, {"status": 200, "hangs_up": True}, {"status": 429})


@pytest.mark.parametrize("seed", range(3))
def test_every_change_is_told_once_or_said_to_be_lost(database, tmp_path, seed):
    chance, clock = random.Random(seed), HeldClock()
    incidents: dict[int, IncidentState] = {}
    changes = []
    with http_hook() as hook:
        route_id = add_route(database, {"name": "ops", "target": hook.address, "group_by": ["kind"]}, "ann")["route_id"]
        agent = sender(database, clock, tmp_path)
        for _ in range(120):
            act = chance.random()
            if act < 0.3:
                incident_id = opened(database, clock)
                incidents[incident_id] = IncidentState.OPEN
                changes.append((incident_id, "opened"))
            elif act < 0.5 and incidents:
                incident_id = chance.choice(list(incidents))
                is_over = incidents[incident_id] is IncidentState.RESOLVED
                incidents[incident_id] = IncidentState.REOPENED if is_over else IncidentState.RESOLVED
                step(database, incident_id, incidents[incident_id], clock)
                changes.append((incident_id, incidents[incident_id].value))
            elif act < 0.6:
                mood = chance.choice(_MOODS)
                hook.status, hook.hangs_up = mood["status"], mood.get("hangs_up", False)
            elif act < 0.65:
                agent = sender(database, clock, tmp_path)
            clock.move(chance.choice((1, 5, 30, 600)))
            agent.cycle()
        hook.status, hook.hangs_up = 200, False
        for _ in range(8):
            clock.move(1000)
            agent.cycle()
    told, settled = Counter(hook.changes()), states(database, route_id)
    assert Counter((one[0], one[1]) for one in settled) == Counter(changes)
    ends = Counter(state for _, _, state, _ in settled)
    assert set(ends) <= {"sent", "lost"} and ends["sent"] > 10
    # what was lost was given to somebody who hung up: it may have arrived, and did here; nothing came twice
    assert told == Counter(changes)


def test_two_senders_at_once_tell_everything_once(database, tmp_path):
    clock = HeldClock()
    with http_hook() as hook:
        for name in ("one", "two", "three"):
            add_route(database, {"name": name, "target": hook.address, "group_by": ["computing_site"]}, "ann")
        told = {opened(database, clock, computing_site=f"Q{number}") for number in range(30)}
        sender(database, clock, tmp_path).cycle()
        clock.move(15)
        senders = [sender(database, clock, tmp_path) for _ in range(3)]
        threads = [threading.Thread(target=_until_idle, args=(one,)) for one in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(hook.changes()) == {(incident_id, "opened"): 3 for incident_id in told}


def _until_idle(agent):
    while agent.cycle():
        pass
