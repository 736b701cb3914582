"""The books of all tasks at one moment, and what must be true of them whatever happened: for tests that let anything happen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from core.database import Database, Row
from core.states import FINAL_TASK_STATUSES, TASK_TRANSITIONS, TaskStatus
from core.taskengine import strays

_FILES = "SELECT f.*, d.is_master, d.type FROM task_files f JOIN task_datasets d USING (dataset_id) ORDER BY f.file_id"
_FOLLOWING = "SELECT jedi_task_id FROM task_datasets WHERE type = 'parent' AND status <> 'ready'"
_LIVE = "SELECT * FROM jobs_live ORDER BY panda_id"
_ENDED = "SELECT panda_id, jedi_task_id, job_status, processing_type FROM jobs_archive"
_WAITS_FOR_SOMEBODY = (
    *("exhausted", "paused", "pending", "defined", "scouting"),
    *("staging", "assigning", "topreprocess", "preprocessing"),
)
"""Without jobs: for a person, a watch, the feeder, the verdict on its scouts; for tape, its destination, its definition."""


@dataclass(frozen=True)
class Books:
    """All tasks with their history, files and jobs."""

    tasks: dict[int, Row]
    history: dict[int, list[Row]]
    files: dict[int, list[Row]]
    """Input; what jobs made to be merged; the pseudo file of a first job: of these `is_master` is false."""
    live: dict[int, list[Row]]
    ended: dict[int, list[Row]]
    lost: set[int]
    """Tasks that the net below the engine would catch."""
    following: set[int]
    """Tasks that take input as their parent makes it."""

    def check(self, *, scouts: int) -> None:
        """Every invariant; `scouts`: how many jobs go first."""
        for task_id, task in self.tasks.items():
            self._history_is_a_path(task)
            self._ends_and_live_jobs_exclude_each_other(task)
            self._counts_are_those_of_the_files(task)
            self._what_is_paused_is_held(task)
            self._what_finished_is_merged_once(task)
            if task["status"] == TaskStatus.SCOUTING:
                jobs = self.live[task_id]
                assert len(jobs) <= scouts, self.story(task)
                assert all("scout" in job["special_handling"].split(",") for job in jobs), self.story(task)
            elif task_id in self.lost:
                # scouts without a verdict are the judge's
                raise AssertionError(f"lost sight of: {self.story(task)}")

    def _history_is_a_path(self, task: Row) -> None:
        """From the submission, step by legal step, to the status the task has."""
        steps = self.history[task["jedi_task_id"]]
        path = [TaskStatus(step["status"]) for step in steps]
        assert [step["previous_status"] for step in steps] == ["", *path[:-1]], self.story(task)
        assert all(after in TASK_TRANSITIONS[before] for before, after in pairwise(path)), self.story(task)
        assert task["status"] == path[-1], self.story(task)

    def _ends_and_live_jobs_exclude_each_other(self, task: Row) -> None:
        """Whoever is not through has jobs, input for more that an agent knows of, or waits for somebody."""
        live, has_ended = self.live[task["jedi_task_id"]], task["status"] in FINAL_TASK_STATUSES
        assert not (has_ended and live), self.story(task)
        assert has_ended is (task["end_time"] is not None), self.story(task)
        assert task["n_jobs"] == len(live) + len(self.ended[task["jedi_task_id"]]), self.story(task)
        waits = task["status"] in _WAITS_FOR_SOMEBODY or task["jedi_task_id"] in self.following
        if not (has_ended or live or waits):
            statuses = {file["status"] for file in self.files[task["jedi_task_id"]]}
            assert statuses & {"ready", "staging"}, self.story(task)
            # what comes from tape wakes the generator
            assert task["generate_at"] is not None or "staging" in statuses, self.story(task)

    def _counts_are_those_of_the_files(self, task: Row) -> None:
        """Progress is what the files say, each is in one state, and a running file has a live job of its own."""
        files = self.files[task["jedi_task_id"]]
        master = [file["status"] for file in files if file["is_master"]]
        names = {file["lfn"] for file in files if file["is_master"]}
        assert len(names) == len(master) == task["n_files"] == task["n_input_files"], self.story(task)
        statuses = {file["status"] for file in files}
        assert statuses <= {"staging", "ready", "running", "finished", "failed", "cancelled"}, self.story(task)
        counted = (task["n_files_finished"], task["n_files_failed"])
        assert counted == (master.count("finished"), master.count("failed")), self.story(task)
        live = {job["panda_id"] for job in self.live[task["jedi_task_id"]]}
        assert {file["panda_id"] for file in files if file["status"] == "running"} == live, self.story(task)
        if task["status"] == TaskStatus.DONE:
            assert statuses == {"finished"}, self.story(task)
        if task["status"] in FINAL_TASK_STATUSES - {TaskStatus.BROKEN}:
            # of a broken one nothing is ever taken up again: what it did not reach stays as it is; a first job that was not
            # made is made when the task is taken up again
            statuses = {file["status"] for file in files if file["type"] != "pp_input"}
            assert not statuses & {"ready", "staging"}, self.story(task)

    def _what_is_paused_is_held(self, task: Row) -> None:
        """Nothing of a paused task waits for a pilot, and only paused tasks hold jobs back."""
        states = {job["job_status"] for job in self.live[task["jedi_task_id"]]}
        assert ("activated" if task["status"] == TaskStatus.PAUSED else "throttled") not in states, self.story(task)

    def _what_finished_is_merged_once(self, task: Row) -> None:
        """What was made waits once for each run job that finished, and is merged by merge jobs that finished."""
        waiting = [file for file in self.files[task["jedi_task_id"]] if file["type"] == "merge_input"]
        finished = [job for job in self.ended[task["jedi_task_id"]] if job["job_status"] == "finished"]
        merges = {job["panda_id"] for job in finished if job["processing_type"] == "pmerge"}
        runs = {job["panda_id"] for job in finished} - merges
        made = [file["position"] for file in waiting]
        assert len(set(made)) == len(made) and set(made) <= runs, self.story(task)
        assert {file["panda_id"] for file in waiting if file["status"] == "finished"} <= merges, self.story(task)

    def story(self, task: Row) -> str:
        """How a task came to be as it is, for whoever reads a failure."""
        task_id = task["jedi_task_id"]
        steps = [f"{step['status']} ({step['who']}: {step['reason']})" for step in self.history[task_id]]
        files = [(file["is_master"], file["status"], file["panda_id"]) for file in self.files[task_id]]
        jobs = [(job["panda_id"], job["job_status"]) for job in self.live[task_id]]
        when = {"generate_at": str(task["generate_at"]), "next_try_time": str(task["next_try_time"])}
        return f"task {task_id} is {task['status']} {when}\nsteps {steps}\nfiles {files}\njobs {jobs}\n{task}"


def read_books(database: Database) -> Books:
    """Everything there is."""
    asleep, stranded = strays.asleep(database, batch=1000), strays.stranded(database, age_s=0.0, batch=1000)
    return Books(
        tasks={task["jedi_task_id"]: task for task in database.fetch("SELECT * FROM tasks ORDER BY jedi_task_id")},
        history=_by_task(database.fetch("SELECT * FROM task_history ORDER BY history_id")),
        files=_by_task(database.fetch(_FILES)),
        live=_by_task(database.fetch(_LIVE)),
        ended=_by_task(database.fetch(_ENDED)),
        lost={*asleep, *stranded},
        following={row["jedi_task_id"] for row in database.fetch(_FOLLOWING)},
    )


def _by_task(rows: list[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["jedi_task_id"]].append(row)
    return groups
