"""The long list of jobs: AG Grid's infinite rows, cut in blocks by keyset cursors. Renderers are in assets/grid.js."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dash_ag_grid as dag

from dashboard import palette
from dashboard.components.job_table import failing_line
from dashboard.links import Links

BLOCK_ROWS = 100


def job_grid(component_id: str, links: Links) -> dag.AgGrid:
    """The grid; rows come through `getRowsRequest`."""
    return dag.AgGrid(
        id=component_id,
        columnDefs=_columns(links),
        defaultColDef={"sortable": False, "resizable": True, "suppressMovable": True, "minWidth": 60},
        rowModelType="infinite",
        getRowId="params.data.panda_id",
        className="job-grid",
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 34,
            "context": {"ended": list(palette.ENDED)},
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
    error = row.get("error")
    return {
        "panda_id": str(row["panda_id"]),
        "job_status": row["job_status"],
        "jedi_task_id": row.get("jedi_task_id"),
        "computing_site": row.get("computing_site") or "",
        "prod_user_name": row.get("prod_user_name") or "",
        "state_change_time": row.get("state_change_time") or row.get("modification_time"),
        "error": f"{error['component']}:{error['code']}" if error else "",
        "error_name": (error or {}).get("name") or "",
        "line": failing_line(row),
        "incident_id": row.get("incident_id"),
    }


def _columns(links: Links) -> list[dict[str, Any]]:
    looks = {name: asdict(look) for name, look in palette.JOB_STATES.items()}
    job, log = links.page("job", 0), links.page("log", 0)
    task, incident = links.page("task", 0), links.page("incident", 0)
    return [
        _column("job_status", "State", 118, "JobState", looks=looks),
        _column("panda_id", "PandaID", 88, "NumberLink", to=job),
        _column("state_change_time", "Changed", 98, "Age"),
        {**_column("line", "Failing line", 260, "FailingLine", to=log), "flex": 1, "minWidth": 160},
        _column("error", "Error", 106, "ErrorCode"),
        _column("computing_site", "Queue", 118, "PlainText"),
        _column("jedi_task_id", "Task", 94, "NumberLink", to=task),
        _column("prod_user_name", "User", 84, "PlainText"),
        _column("incident_id", "Incident", 80, "NumberLink", to=incident, sign="#"),
    ]


def _column(field: str, head: str, width: int, renderer: str, **parameters: Any) -> dict[str, Any]:
    return {
        "field": field,
        "headerName": head,
        "width": width,
        "cellRenderer": renderer,
        "cellRendererParams": parameters,
    }
