"""The long list of jobs: AG Grid's infinite rows, cut in blocks by keyset cursors. Renderers are in assets/grid.js."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dash_ag_grid as dag

from dashboard import palette
from dashboard.components.job_table import error_words, failing_line
from dashboard.links import Links

BLOCK_ROWS = 100
FINAL_STATES = ("finished", "failed", "cancelled", "closed")


def job_grid(component_id: str, links: Links) -> dag.AgGrid:
    """The grid; rows come through `getRowsRequest`."""
    return dag.AgGrid(
        id=component_id,
        columnDefs=_columns(links),
        defaultColDef={"sortable": False, "resizable": True, "suppressMovable": True, "minWidth": 60},
        rowModelType="infinite",
        getRowId="params.data.panda_id",
        className="job-grid",
        columnSize="responsiveSizeToFit",
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 34,
            "cacheBlockSize": BLOCK_ROWS,
            "maxBlocksInCache": 20,
            "maxConcurrentDatasourceRequests": 1,
            "cacheOverflowSize": 1,
            "infiniteInitialRowCount": 1,
            "suppressCellFocus": False,
            "suppressNoRowsOverlay": True,
            "animateRows": False,
            "enableCellTextSelection": True,
        },
        eventListeners={"cellClicked": ["openJob(params)"], "cellKeyDown": ["openJob(params)"]},
        style={"height": "100%"},
    )


def grid_row(row: dict[str, Any]) -> dict[str, Any]:
    """What the grid shows of a job, and no more: every row travels to the browser."""
    return {
        "panda_id": str(row["panda_id"]),
        "job_status": row["job_status"],
        "jedi_task_id": row.get("jedi_task_id"),
        "computing_site": row.get("computing_site") or "",
        "prod_user_name": row.get("prod_user_name") or "",
        "attempt_nr": row.get("attempt_nr"),
        "state_change_time": row.get("state_change_time") or row.get("modification_time"),
        "error": error_words(row.get("error")),
        "line": failing_line(row),
        "incident_id": row.get("incident_id"),
    }


def _columns(links: Links) -> list[dict[str, Any]]:
    looks = {name: asdict(look) for name, look in palette.JOB_STATES.items()}
    job, log = links.page("job", 0), links.page("log", 0)
    task, incident = links.page("task", 0), links.page("incident", 0)
    return [
        {
            "field": "job_status",
            "headerName": "State",
            "cellRenderer": "JobState",
            "cellRendererParams": {"looks": looks},
            "width": 118,
        },
        {
            "field": "panda_id",
            "headerName": "PandaID",
            "cellRenderer": "NumberLink",
            "cellRendererParams": {"to": job},
            "width": 110,
        },
        {
            "field": "line",
            "headerName": "Failing line",
            "cellRenderer": "FailingLine",
            "cellRendererParams": {"to": log},
            "flex": 1,
            "minWidth": 220,
        },
        {"field": "error", "headerName": "Error", "cellRenderer": "PlainText", "width": 170},
        {"field": "computing_site", "headerName": "Queue", "cellRenderer": "PlainText", "width": 130},
        {
            "field": "jedi_task_id",
            "headerName": "Task",
            "cellRenderer": "NumberLink",
            "cellRendererParams": {"to": task},
            "width": 100,
        },
        {"field": "prod_user_name", "headerName": "User", "cellRenderer": "PlainText", "width": 110},
        {"field": "attempt_nr", "headerName": "Attempt", "type": "rightAligned", "width": 84},
        {"field": "state_change_time", "headerName": "Changed", "cellRenderer": "Age", "width": 110},
        {
            "field": "incident_id",
            "headerName": "Incident",
            "cellRenderer": "NumberLink",
            "cellRendererParams": {"to": incident},
            "width": 86,
        },
    ]
