"""The screens of the console: one file each, one line in the table."""

from __future__ import annotations

from pandascope.addresses import Page
from tui.navigation import Place
from tui.screens.audit import AuditScreen
from tui.screens.base import MonitorScreen
from tui.screens.incident import IncidentScreen
from tui.screens.incidents import IncidentsScreen
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen
from tui.screens.log import LogScreen
from tui.screens.now import NowScreen
from tui.screens.queues import QueuesScreen
from tui.screens.rules import RulesScreen
from tui.screens.shares import SharesScreen
from tui.screens.shift import ShiftScreen
from tui.screens.silences import SilencesScreen
from tui.screens.staging import StagingScreen
from tui.screens.system import SystemScreen
from tui.screens.task import TaskScreen
from tui.screens.tasks import TasksScreen
from tui.screens.users import UsersScreen

SCREENS: dict[Page, type[MonitorScreen]] = {
    Page.NOW: NowScreen,
    Page.INCIDENTS: IncidentsScreen,
    Page.INCIDENT: IncidentScreen,
    Page.QUEUES: QueuesScreen,
    Page.JOBS: JobsScreen,
    Page.JOB: JobScreen,
    Page.LOG: LogScreen,
    Page.TASKS: TasksScreen,
    Page.TASK: TaskScreen,
    Page.STAGING: StagingScreen,
    Page.SHARES: SharesScreen,
    Page.USERS: UsersScreen,
    Page.RULES: RulesScreen,
    Page.SYSTEM: SystemScreen,
    Page.SILENCES: SilencesScreen,
    Page.SHIFTS: ShiftScreen,
    Page.SHIFT: ShiftScreen,
    Page.AUDIT: AuditScreen,
}


def screen_for(place: Place) -> MonitorScreen:
    """A new screen for a place."""
    return SCREENS[place.address.page](place)
