"""Fifty thousand jobs: the list opens at once, loads as one reads, and holds every job once and in order."""

from __future__ import annotations

import pytest
from rich.text import Text
from textual.app import App, ComposeResult

from tests.support import builders
from tests.support.system import running_system
from tests.tui.conftest import console
from tui.widgets.virtual_table import Column, VirtualTable, fit_columns

JOBS = 50_000


def copy_job(database, panda_id: int, count: int) -> None:
    """Further rows like that of a job, in bulk; numbered from the next million on."""
    names = [
        row["column_name"]
        for row in database.fetch(
            """SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs_live'
               AND table_schema = current_schema() AND column_name <> 'panda_id' AND is_generated = 'NEVER'"""
        )
    ]
    columns = ", ".join(names)
    database.execute(
        f"""INSERT INTO jobs_live (panda_id, {columns})
            SELECT 1000000 + number, {columns} FROM jobs_live, generate_series(1, %(count)s) AS number
            WHERE panda_id = %(id)s""",
        {"id": panda_id, "count": count},
    )


@pytest.mark.anyio
async def test_fifty_thousand_jobs(database_url, tmp_path):
    with running_system(database_url, tmp_path, agents=False) as system:
        (first,) = builders.submit(system.database, 1, queue="LOCAL")
        copy_job(system.database, first, JOBS - 1)
        newest = 1_000_000 + JOBS - 1
        async with console(system, "/jobs/") as seen:
            await seen.shows(f"1 of {JOBS // 1000} 000 jobs", str(newest))
            for _ in range(5):
                loaded = len(seen.table().rows)
                await seen.press("end")
                await seen.until(lambda before=loaded: len(seen.table().rows) > before, "the next page has come")
            rows = [row["panda_id"] for row in seen.table().rows]
            assert rows == list(range(newest, newest - len(rows), -1))
            await seen.press("pageup", "pageup", "enter")
            await seen.until(lambda: seen.page.startswith("/job/"), "a job is opened")
            chosen = int(seen.page.strip("/").removeprefix("job/"))
            await seen.shows(f"Job {chosen}")
            await seen.press("escape")
            await seen.until(lambda: seen.page == "/jobs/" and seen.table().current_key == str(chosen), "back on it")
            assert len(seen.table().rows) == len(rows)
            await seen.shows(str(chosen))
            await seen.press("o")
            await seen.until(lambda: seen.table().rows[0]["panda_id"] == first, "oldest first")


class _TableApp(App[None]):
    CSS = "VirtualTable { overflow-x: hidden; }"

    def compose(self) -> ComposeResult:
        columns = [
            Column("number", 9, lambda row: Text(str(row["n"]), end=""), align="right"),
            Column("text", 20, lambda row: Text(f"row [{row['n']}]", end=""), flex=1),
        ]
        yield VirtualTable(columns, lambda row: str(row["n"]), id="table")


@pytest.mark.anyio
async def test_a_million_rows_are_moved_through_by_key_and_drawn_by_the_line():
    async with _TableApp().run_test(size=(60, 20)) as pilot:
        table = pilot.app.query_one(VirtualTable)
        table.focus()
        table.fill([{"n": number} for number in range(1_000_000)])
        await pilot.press("end")
        await pilot.pause()
        assert table.current["n"] == 999_999
        lines = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        assert "row [999999]" in lines[-1]
        assert "number" in lines[0]
        table.fill([{"n": number} for number in range(999_990, 1_000_010)])
        await pilot.pause()
        assert table.current["n"] == 999_999


@pytest.mark.parametrize("width", [1, 5, 17, 30, 31, 64, 200])
def test_columns_never_take_more_than_there_is(width):
    def cell(row: object) -> Text:
        return Text("")

    columns = [Column("a", 8, cell), Column("b", 20, cell, flex=2, most=40), Column("c", 10, cell, rank=2, flex=1),
               Column("d", 12, cell, rank=1)]  # fmt: skip
    fitted = fit_columns(columns, width)
    assert fitted[0][0].heading == "a"
    assert sum(cells for _, cells in fitted) + 2 * (len(fitted) - 1) <= max(width, 11)


@pytest.mark.anyio
async def test_cells_keep_their_colours(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("✗ failed", "◑ running")
        colours = {
            segment.text.strip(): segment.style.color
            for strip in seen.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None
        }
        palette = seen.app.palette
        assert colours["✗ failed"].triplet == palette.bad.color.triplet
        assert colours["◑ running"].triplet == palette.active.color.triplet
