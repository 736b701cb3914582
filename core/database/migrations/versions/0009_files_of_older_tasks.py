"""tasks of earlier releases get the files that their jobs had, so that they can be retried like any other

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Such tasks have jobs and no datasets, and were all made by `panda run`: their input is one dataset or a row of numbers.
_MASTERS = """
INSERT INTO task_datasets (jedi_task_id, name, container, stream, type, is_master, attributes)
SELECT t.jedi_task_id, i.name, i.name, i.stream, i.type, true, jsonb_build_object('offset', i.first)
FROM tasks t, LATERAL (
    SELECT coalesce(nullif(t.parameters ->> 'inputDataset', ''), 'seq_number') AS name,
           CASE WHEN coalesce(t.parameters ->> 'inputDataset', '') <> '' THEN 'IN' ELSE 'SEQNUMBER' END AS stream,
           CASE WHEN coalesce(t.parameters ->> 'inputDataset', '') <> '' THEN 'input' ELSE 'pseudo_input' END AS type,
           CASE WHEN coalesce(t.parameters ->> 'inputDataset', '') <> '' THEN 0 ELSE 1 END AS first
) i
WHERE NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id)
  AND (EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id)
       OR EXISTS (SELECT 1 FROM jobs_archive j WHERE j.jedi_task_id = t.jedi_task_id))
"""

# a master without a file is one that the statement above has made: every other was made together with its files
_FILES = """
WITH bare AS (
    SELECT d.dataset_id, d.jedi_task_id, d.type FROM task_datasets d
    WHERE d.is_master AND NOT EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = d.jedi_task_id)
), job AS (
    SELECT panda_id, jedi_task_id, job_index, max_attempt, 'running' AS status FROM jobs_live
    UNION ALL
    SELECT panda_id, jedi_task_id, job_index, max_attempt,
           CASE WHEN job_status IN ('finished', 'failed') THEN job_status ELSE 'cancelled' END
    FROM jobs_archive
), held AS (
    SELECT b.dataset_id, j.*, f.row_id, f.file_id, f.lfn, f.scope, f.guid, f.size_bytes, f.checksum
    FROM bare b JOIN job j USING (jedi_task_id) JOIN job_files f ON f.panda_id = j.panda_id AND f.type = 'input'
    WHERE b.type = 'input'
    UNION ALL
    SELECT b.dataset_id, j.*, 0, NULL, j.job_index::text, '', '', NULL, ''
    FROM bare b JOIN job j USING (jedi_task_id) WHERE b.type = 'pseudo_input'
)
INSERT INTO task_files (jedi_task_id, dataset_id, position, catalogue_file_id, lfn, scope, guid, size_bytes, checksum, status,
                        attempt_nr, failed_attempt, max_attempt, panda_id)
SELECT jedi_task_id, dataset_id, row_number() OVER (PARTITION BY dataset_id ORDER BY job_index, row_id), file_id, lfn, scope,
       guid, size_bytes, checksum, status, 1, (status = 'failed')::int, greatest(max_attempt, 1), panda_id
FROM held
"""

# the serial numbers of jobs made later follow those of the jobs there are: their outputs have names of their own
_COUNTS = """
UPDATE tasks t SET next_serial = t.n_jobs + 1, n_files = c.files, n_files_finished = c.finished, n_files_failed = c.failed
FROM (
    SELECT jedi_task_id, count(*) AS files, count(*) FILTER (WHERE status = 'finished') AS finished,
           count(*) FILTER (WHERE status = 'failed') AS failed
    FROM task_files GROUP BY jedi_task_id
) c
WHERE c.jedi_task_id = t.jedi_task_id AND t.next_serial = 1
"""

# outputs share a dataset, each under a stream of its own
_OUTPUTS = """
INSERT INTO task_datasets (jedi_task_id, name, container, stream, type, template)
SELECT d.jedi_task_id, d.name, d.name, 'OUTPUT' || (o.number - 1), 'output', o.template
FROM datasets d JOIN tasks t USING (jedi_task_id),
     jsonb_array_elements_text(CASE jsonb_typeof(t.parameters -> 'outputs') WHEN 'array' THEN t.parameters -> 'outputs'
                               ELSE '[]' END) WITH ORDINALITY AS o (template, number)
WHERE d.kind = 'output'
  AND NOT EXISTS (SELECT 1 FROM task_datasets k WHERE k.jedi_task_id = t.jedi_task_id AND NOT k.is_master)
UNION ALL
SELECT d.jedi_task_id, d.name, d.name, 'LOG0', 'log', 'job.log.tgz' FROM datasets d JOIN tasks t USING (jedi_task_id)
WHERE d.kind = 'log'
  AND NOT EXISTS (SELECT 1 FROM task_datasets k WHERE k.jedi_task_id = t.jedi_task_id AND NOT k.is_master)
"""


def upgrade() -> None:
    for statement in (_MASTERS, _FILES, _COUNTS, _OUTPUTS):
        op.execute(statement)


def downgrade() -> None:
    """The rows are what this release would have kept of these tasks: nothing is to be undone."""
