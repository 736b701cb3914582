"""Every page of the monitor, one file each, and what people can do from them. A new page is a file and a line here."""

from __future__ import annotations

from dashboard.page import Page
from dashboard.pages import (
    alarms,
    audit,
    incident,
    incident_actions,
    incidents,
    job,
    jobs,
    log,
    notices,
    now,
    queues,
    rules,
    shares,
    shift,
    silences,
    staging,
    system,
    task,
    tasks,
    users,
)
from dashboard.works import COMMON, Work

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
    staging.PAGE,
    shares.PAGE,
    users.PAGE,
    rules.PAGE,
    system.PAGE,
    silences.PAGE,
    alarms.PAGE,
    shift.PAGE,
    shift.ONE,
    notices.PAGE,
    audit.PAGE,
)

WORKS: tuple[Work, ...] = (
    *COMMON,
    *incident_actions.WORKS,
    *silences.WORKS,
    *alarms.WORKS,
    *shift.WORKS,
    *notices.WORKS,
)
