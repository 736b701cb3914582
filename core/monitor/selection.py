"""Which jobs a question selects: the filters of jobs and the one statement over live and archive. Knows no page."""

from __future__ import annotations

from core.database import Row
from core.monitor.filters import Compile, Condition, number_column, parse_numbers, text_column
from core.monitor.job_rows import ERROR_KEY
from core.monitor.question import Grammar, Question

_TEXTS = (
    *("job_name", "job_status", "job_sub_status", "computing_site", "prod_source_label", "processing_type"),
    *("working_group", "vo", "prod_user_name", "gshare", "resource_type", "transformation", "destination_dataset"),
    *("modification_host", "pilot_id", "worker_id", "batch_id", "command_to_pilot"),
)
_NUMBERS = (
    *("panda_id", "jedi_task_id", "job_index", "job_definition_id", "parent_id", "current_priority", "attempt_nr"),
    *("max_attempt", "core_count", "min_ram_mb", "max_disk_mb", "max_walltime_s", "kill_code", "trans_exit_code"),
    *("pilot_error_code", "exe_error_code", "sup_error_code", "ddm_error_code", "brokerage_error_code"),
    *("job_dispatcher_error_code", "task_buffer_error_code"),
)
_SEARCHED = (
    *("job_name", "pilot_error_diag", "exe_error_diag", "sup_error_diag", "ddm_error_diag", "brokerage_error_diag"),
    *("job_dispatcher_error_diag", "task_buffer_error_diag"),
)


def _incident(value: str, prefix: str) -> Condition:
    # ix_incident_jobs_incident
    wanted = parse_numbers(value, "incident")
    member = f"panda_id IN (SELECT panda_id FROM incident_jobs WHERE incident_id = ANY(%({prefix}_ids)s::bigint[]))"
    return Condition(f"NOT {member}" if wanted.is_negated else member, {f"{prefix}_ids": list(wanted.numbers)})


def contains_text(columns: tuple[str, ...]) -> Compile:
    """A filter `q=`: the text occurs in one of the columns, capitals or not."""

    def compiled(value: str, prefix: str) -> Condition:
        pattern = value.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        either = " OR ".join(f"{column} ILIKE %({prefix}_text)s" for column in columns)
        return Condition(f"({either})", {f"{prefix}_text": f"%{pattern}%"})

    return compiled


JOB_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in _TEXTS},
        **{name: number_column(name) for name in _NUMBERS},
        "error": text_column("error", f"({ERROR_KEY})"),
        "incident": _incident,
        "q": contains_text(_SEARCHED),
    },
    identities=frozenset({"panda_id", "jedi_task_id", "incident"}),
    default_hours=24,
    sorts=("panda_id-descending", "panda_id-ascending"),
)


def selected_jobs(
    question: Question,
    live_columns: str,
    archive_columns: str = "",
    *,
    after: str = "",
    tail: str = "",
    sample: str = "",
) -> str:
    """SQL of the jobs a question selects. Each job is in one of the two tables, and one statement sees one moment.

    A window cuts ended jobs by the time they ended. Live jobs belong to the present: they count unless the window
    ends in the past, and then by their last change of state. `sample` is a TABLESAMPLE clause for the archive.
    """
    live, archive = [question.where()], [question.where()]
    if question.window is not None:
        archive.append("state_change_time >= %(window_start)s")
        if not question.window.reaches_now:
            archive.append("state_change_time < %(window_end)s")
            live.append("state_change_time >= %(window_start)s AND state_change_time < %(window_end)s")
    if after:
        live.append(after)
        archive.append(after)
    return f"""
        (SELECT {live_columns} FROM jobs_live WHERE {" AND ".join(live)} {tail})
        UNION ALL
        (SELECT {archive_columns or live_columns} FROM jobs_archive {sample} WHERE {" AND ".join(archive)} {tail})
    """


def window_parameters(question: Question) -> Row:
    """The bound parameters that `selected_jobs` needs."""
    window = question.window
    return {
        **question.parameters,
        "window_start": window.start if window else None,
        "window_end": window.end if window else None,
    }
