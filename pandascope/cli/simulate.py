"""`panda simulate`: try a change on a described grid in virtual time before it is made."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from pandascope.cli.options import AsJson
from pandascope.cli.rendering import console, duration, heading, number, plain, print_json, table

if TYPE_CHECKING:
    from core.simulation.description import Description
    from core.simulation.report import Difference, Report, ShareResult, Waits

_SHOWN = 20
_COMPARED = 60


def command(
    file: Annotated[Path, typer.Argument(help="The description (TOML); see docs/simulation.md.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the description: shares.NAME.value=40, seed=2, ..."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OTHER", help="Run OTHER first and show what differs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a described grid in virtual time with the brokerage, shares and dispatch of this system.

    It works in a scratch database of its own: on the server of PANDA_DATABASE_URL if that is set, else in a PostgreSQL
    started for it. Nothing of an installation is read or changed. `--set` with `--against` changes FILE only, so
    `panda simulate FILE --set shares.a.value=40 --against FILE` shows what a change would do.
    """
    from core.configuration import Settings
    from core.simulation.reading import check_comparable, read_description
    from core.simulation.report import differences

    descriptions = [read_description(file, changes or [])]
    if against is not None:
        descriptions.insert(0, read_description(against))
        check_comparable(descriptions[1], descriptions[0])
    server_url = Settings.load().database_url
    # its warnings are of the jobs that nobody runs, which the report counts
    logging.getLogger("panda").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _interrupt)
    reports = [_run(description, server_url, show=not as_json) for description in descriptions]
    changed = differences(reports[0], reports[-1])
    if as_json:
        answer: dict[str, Any] = reports[-1].as_dict()
        if against is not None:
            answer["against"] = reports[0].as_dict()
            answer["differences"] = [
                {"name": row.name, "before": row.before, "after": row.after, "change": row.change} for row in changed
            ]
        print_json(answer)
        return
    terminal = console()
    _show(terminal, reports[-1])
    if against is not None:
        _show_differences(terminal, changed)


def _interrupt(*_: object) -> None:
    """The scratch database goes before this program does."""
    raise KeyboardInterrupt


def _run(description: Description, server_url: str, *, show: bool) -> Report:
    from core.simulation.report import report_of
    from core.simulation.run import Progress as Step
    from core.simulation.run import simulate

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
        console=console(stderr=True),
        disable=not show or not console(stderr=True).is_terminal,
    )
    tenths = 0
    with bar:
        line = bar.add_task(plain(description.title or "simulation"), total=1.0, said="")

        def advance(step: Step) -> None:
            nonlocal tenths
            said = f"day {step.day:.1f}, {number(step.ended, 'job')} ended, {step.running:,} run, {step.waiting:,} wait"
            bar.update(line, completed=step.part, said=said)
            if show and bar.disable and int(10 * step.part) > tenths:
                tenths = int(10 * step.part)
                typer.echo(said, err=True)

        return report_of(simulate(description, server_url, advance))


def _show(terminal: Console, report: Report) -> None:
    totals = report.totals
    title = plain(report.title or "simulation")
    terminal.print(heading(f"{title}: {report.days:g} days, seed {report.seed}, steps of {report.tick_s:g} s"))
    terminal.print(
        Text(
            f"{number(totals.submitted, 'job')} submitted: {totals.finished:,} finished, {totals.failed:,} failed attempts "
            f"({totals.given_up:,} given up), {totals.closed:,} taken back, {totals.running:,} run, {totals.waiting:,} wait"
        )
    )
    terminal.print(
        Text(
            f"steady state: {_percent(totals.utilisation)} of the cores busy; {totals.core_hours:,.0f} core-hours used, "
            f"{totals.failed_core_hours:,.0f} of them by work that failed; {totals.idle_core_hours:,.0f} idle while work waited"
        )
    )
    for note in report.notes:
        terminal.print(Text(f"note: {plain(note)}", style="yellow"))
    if report.shares:
        _show_shares(terminal, report)
    _show_users(terminal, report)
    _show_queues(terminal, report)
    if report.unmatched:
        terminal.print(heading("Nobody could run"))
        rows = [(row.work, row.status, row.jobs, row.binding_step, row.reason) for row in report.unmatched[:_SHOWN]]
        terminal.print(table(("work", "state", ">jobs", "criterion", "~reason"), rows))
    spent = ", ".join(
        f"{name} {seconds:.0f} s" for name, seconds in sorted(report.seconds.items(), key=lambda p: -p[1])
    )
    terminal.print(Text(f"\ntime spent: {spent}", style="dim"))


def _show_shares(terminal: Console, report: Report) -> None:
    terminal.print(heading("Shares"))
    columns = ("share", ">target %", ">executing %", ">deviation", "work", ">started", ">wait p50", ">p90", ">max")
    rows = [
        (
            share.name,
            f"{share.target_percent:.2f}",
            f"{share.executing_percent:.2f}",
            _deviation(share, share in report.deviating_shares),
            "all the time" if share.had_work else f"{_percent(share.work_part)} of it",
            f"{share.started:,}",
            *_waits(share.waits),
        )
        for share in report.shares
    ]
    terminal.print(table(columns, rows))
    for share in report.shares:
        if share.reason and share.deviation is not None:
            terminal.print(Text(f"{plain(share.name)} is {100 * share.deviation:+.1f} % off: {plain(share.reason)}"))


def _show_users(terminal: Console, report: Report) -> None:
    terminal.print(heading("Users"))
    shown = sorted(report.users, key=lambda user: -user.submitted)[:_SHOWN]
    rows = [
        (user.name, f"{user.submitted:,}", f"{user.finished:,}", *_waits(user.waits), duration(user.last_wait_s))
        for user in shown
    ]
    terminal.print(table(("user", ">submitted", ">finished", ">wait p50", ">p90", ">max", ">to last start"), rows))
    _more(terminal, len(report.users), "users")


def _show_queues(terminal: Console, report: Report) -> None:
    terminal.print(heading("Queues, least used first"))
    shown = sorted(report.queues, key=lambda queue: (queue.utilisation is None, queue.utilisation or 0.0))[:_SHOWN]
    rows = [
        (
            *(queue.name, f"{queue.slots:,}", _percent(queue.utilisation), f"{queue.idle_core_hours:,.0f}"),
            *(f"{queue.started:,}", f"{queue.failed:,}"),
        )
        for queue in shown
    ]
    terminal.print(table(("queue", ">slots", ">busy", ">idle core-h", ">started", ">failed"), rows))
    _more(terminal, len(report.queues), "queues")


def _show_differences(terminal: Console, rows: list[Difference]) -> None:
    terminal.print(heading("What differs"))
    shown = [
        (row.name, _figure(row.before), _figure(row.after), _figure(row.change, signed=True))
        for row in rows[:_COMPARED]
    ]
    terminal.print(table(("figure", ">other", ">this", ">change"), shown))
    if len(rows) > _COMPARED:
        terminal.print(Text(f"{_COMPARED} of {len(rows):,} figures shown; --json has all", style="dim"))


def _deviation(share: ShareResult, is_far: bool) -> Text:
    text = "-" if share.deviation is None else f"{100 * share.deviation:+.1f} %"
    return Text(text, style="red" if is_far else "")


def _waits(waits: Waits) -> tuple[str, ...]:
    return tuple(duration(wait) for wait in (waits.p50_s, waits.p90_s, waits.max_s))


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.1f} %"


def _figure(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    digits = 0 if isinstance(value, int) else 3 if abs(value) < 10 else 1
    return f"{value:{'+' if signed else ''},.{digits}f}"


def _more(terminal: Console, total: int, things: str) -> None:
    if total > _SHOWN:
        terminal.print(Text(f"{_SHOWN} of {total:,} {things} shown; --json has all", style="dim"))
