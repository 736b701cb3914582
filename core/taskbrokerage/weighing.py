"""How good a nucleus is for a task: room, work that waits for it, input that is there (domain.md 5.1). Knows no rule, no SQL.

The numbers a weight is made of stay with it, so that a person can work it out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from core.brokerage.weighing import Weight
from core.taskbrokerage.candidates import Need, Nucleus
from core.workload_settings import TaskBrokerageSettings

_MB_OF_TB = 1e6
_MOST_FREE_TB = 1000.0
"""Free room beyond this makes a nucleus no better."""
_LEAST_WORK = 50.0
"""Jobs: a nucleus with less to do is as good as one with so many."""
_TAPE_WEIGHT = 0.001


def weigh(need: Need, nuclei: Sequence[Nucleus], settings: TaskBrokerageSettings) -> list[Weight]:
    """The weight of each, in the order given.

    locality x tape x room / max(50, remaining jobs), where room = free x min(1000, free) / total in TB. Who reports no room
    counts with the median of those who do, and with 1 where nobody does; without a total what is free is all there is.
    """
    rooms = [_room(nucleus) for nucleus in nuclei]
    known = [room for room in rooms if room is not None]
    usual = median(known) if known else 1.0
    return [_weight(need, *each, usual, settings) for each in zip(nuclei, rooms, strict=True)]


def _weight(need: Need, nucleus: Nucleus, room: float | None, usual: float, settings: TaskBrokerageSettings) -> Weight:
    parts: dict[str, float | str] = {
        "locality": round(_locality(need, nucleus, settings), 6),
        "tape": _TAPE_WEIGHT if _is_only_on_tape(need, nucleus) else 1.0,
        "room": round(usual if room is None else room, 6),
        "remaining_jobs": round(nucleus.remaining_jobs, 1),
    }
    value = float(parts["locality"]) * float(parts["tape"]) * float(parts["room"])
    return Weight(nucleus.name, value / max(_LEAST_WORK, nucleus.remaining_jobs), parts)


def _room(nucleus: Nucleus) -> float | None:
    if nucleus.free_mb is None:
        return None
    free, total = nucleus.free_mb / _MB_OF_TB, (nucleus.total_mb or nucleus.free_mb) / _MB_OF_TB
    return free * min(_MOST_FREE_TB, free) / total if total else 0.0


def _locality(need: Need, nucleus: Nucleus, settings: TaskBrokerageSettings) -> float:
    """The part of the input that is there, of a task that is heavy in I/O; of others it makes no difference."""
    whole = need.input.mb
    if not whole or need.request.io_kb_s <= settings.io_heavy_kb_s:
        return 1.0
    return need.input_near(nucleus).mb / whole


def _is_only_on_tape(need: Need, nucleus: Nucleus) -> bool:
    return need.input_near(nucleus).files > 0 and need.input_on_disk(nucleus).files == 0
