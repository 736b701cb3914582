"""The job list: which jobs, and what they have in common. Exact counts, keyset pages, live and archive as one."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row
from core.monitor.facets import Facets, count_jobs
from core.monitor.filters import Compile, Condition, number_column, parse_numbers, text_column
from core.monitor.job_rows import ERROR_KEY, LIST_COLUMNS, job_row
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read

_TEXTS = (
    *("job_name", "job_status", "job_sub_status", "computing_site", "prod_source_label", "processing_type"),
    *("working_group", "vo", "prod_user_name", "resource_type", "transformation", "destination_dataset"),
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


def job_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of job rows with the facets of all jobs that the question selects.

    Facets and count are made for the first page; later pages carry its count on. Raises TooSlow or InvalidInput.
    """
    after, counted = _position(question)
    facets = Facets({}, count=counted[0], exact=counted[1]) if counted else count_jobs(database, question)
    rows = read(database, _page_statement(question), {**_parameters(question), "after": after})
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    state = [rows[-1]["panda_id"], facets.count, facets.exact] if rows and has_more else None
    content: dict[str, Any] = {"jobs": [job_row(row) for row in rows]}
    if question.wants_facets and not counted:
        content["facets"] = facets.values
    return envelope(
        question.as_of,
        window=question.window,
        exact=facets.exact,
        count=facets.count,
        next_cursor=encode_cursor(_key(question), state) if state else None,
        warnings=[*question.warnings, *facets.warnings],
        **content,
    )


def _key(question: Question) -> tuple[Any, ...]:
    return (question.raw_filters, question.sortby)


def _position(question: Question) -> tuple[int | None, tuple[int, bool] | None]:
    if not question.cursor:
        return None, None
    after, count, exact = decode_cursor(question.cursor, _key(question), (int, int, bool))
    return after, (count, exact)


def selected_jobs(question: Question, columns: str, *, after: str = "", tail: str = "") -> str:
    """SQL of the jobs a question selects. Each job is in one of the two tables, and one statement sees one moment.

    A window cuts ended jobs by the time they ended. Live jobs belong to the present: they count unless the window
    ends in the past, and then by their last change of state.
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
        (SELECT {columns} FROM jobs_live WHERE {" AND ".join(live)} {tail})
        UNION ALL
        (SELECT {columns} FROM jobs_archive WHERE {" AND ".join(archive)} {tail})
    """


def _page_statement(question: Question) -> str:
    """Live by primary key or ix_jobs_live_*; archive by its primary key or an index of filter and time, whichever
    PostgreSQL finds cheaper; incident_jobs by primary key for the rows of the page alone.
    """
    direction, comparison = ("ASC", ">") if question.sortby.endswith("ascending") else ("DESC", "<")
    after = f"panda_id {comparison} %(after)s" if question.cursor else ""
    order = f"ORDER BY panda_id {direction} LIMIT %(limit)s"
    return f"""
        SELECT page.*, c.culprit_line, c.incident_id
        FROM (
            SELECT * FROM ({selected_jobs(question, LIST_COLUMNS, after=after, tail=order)}) found {order}
        ) page LEFT JOIN incident_jobs c USING (panda_id)
        ORDER BY panda_id {direction}
    """


def _parameters(question: Question) -> Row:
    return {**window_parameters(question), "limit": question.limit + 1}


def window_parameters(question: Question) -> Row:
    """The bound parameters that `selected_jobs` needs."""
    window = question.window
    return {
        **question.parameters,
        "window_start": window.start if window else None,
        "window_end": window.end if window else None,
    }
