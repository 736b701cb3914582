"""The share and the priority of a task that is retried: those of its submission again, unless they are kept.

Knows no job: those made from now on have what the task has.
"""

from __future__ import annotations

from core.shares.tagging import ShareFacts, share_of
from core.taskengine.commands.locking import LockedTask

# primary key
_RESET = """
UPDATE tasks SET gshare = %(share)s, current_priority = task_priority WHERE jedi_task_id = %(task_id)s
"""


def reset(task: LockedTask) -> None:
    """Give a task the share that the tree gives it now, and the priority it was submitted with or set to by production.

    What somebody gave it for one execution (`reassign_global_share`, `currentPriority` of a resubmission) ends with that.
    """
    row = task.row
    facts = ShareFacts(
        vo=row["vo"],
        prod_source_label=row["prod_source_label"],
        working_group=row["working_group"],
        campaign=row["campaign"],
        processing_type=row["processing_type"],
        trans_path=str(row["parameters"].get("transPath") or ""),
    )
    task.execute(_RESET, share=share_of(task.transaction, facts))
