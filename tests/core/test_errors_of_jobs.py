"""The primary error: one rule in Python and in SQL, and a sentence for every code."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from core.error_codes import error_description, error_name, known_error_codes
from core.models import JobColumns
from core.models.errors import ERROR_COMPONENTS, errors_of_job, primary_error
from core.monitor.job_rows import ERROR_KEY

CODES = some.fixed_dictionaries(
    {component.code_column: some.sampled_from([0, 0, 100, 1305, -7]) for component in ERROR_COMPONENTS}
)


@settings(deadline=None)
@given(row=CODES)
def test_the_rule_is_the_same_in_sql(module_database_url, row):
    from core.database import Database

    door = Database(module_database_url, pool_size=1)
    columns = ", ".join(f"%({name})s::bigint AS {name}" for name in row)
    found = door.fetch_one(f"SELECT {ERROR_KEY} AS error FROM (SELECT {columns}) job", row)
    door.close()
    error = primary_error(row)
    assert found == {"error": f"{error.component}:{error.code}" if error else None}


@given(row=CODES)
def test_every_error_is_listed_once_the_primary_one_first(row):
    errors = errors_of_job(row)
    assert len(errors) == sum(1 for code in row.values() if code)
    assert (errors[0] if errors else None) == primary_error(row)


def test_what_happened_at_the_payload_counts_before_what_the_server_noticed():
    row = {"job_dispatcher_error_code": 100, "trans_exit_code": 3, "task_buffer_error_code": 100}
    assert [error.component for error in errors_of_job(row)] == ["trans", "job_dispatcher", "task_buffer"]


def test_the_diagnosis_is_what_was_said_or_what_the_code_means():
    assert primary_error({"pilot_error_code": 1305, "pilot_error_diag": "boom"}).diag == "boom"
    assert primary_error({"pilot_error_code": 1305, "pilot_error_diag": ""}).diag == "Failed to execute payload"
    assert primary_error({"trans_exit_code": 3}).diag == "The payload ended with exit code 3"
    assert primary_error({"exe_error_code": 9}).diag == "exe error 9"


def test_every_code_has_a_name_and_a_sentence_and_every_column_exists():
    assert len(known_error_codes()) > 180
    for component, code in known_error_codes():
        assert error_name(component, code) and error_description(component, code)
    for component in ERROR_COMPONENTS:
        assert component.code_column in JobColumns.model_fields
        assert not component.diag_column or component.diag_column in JobColumns.model_fields
