"""Every page of the monitor, one file each. A new page is a file and a line here."""

from __future__ import annotations

from dashboard.page import Page
from dashboard.pages import incident, incidents, job, jobs, log, now, queues, rules, shares, system, task, tasks, users

PAGES: tuple[Page, ...] = (
    now.PAGE,
    incidents.PAGE,
    incident.PAGE,
    jobs.PAGE,
    job.PAGE,
    log.PAGE,
    tasks.PAGE,
    task.PAGE,
    queues.PAGE,
    shares.PAGE,
    users.PAGE,
    rules.PAGE,
    system.PAGE,
)
