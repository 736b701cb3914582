"""What a page is, and the one callback that fills it: on a new address, on a change signal, after an action.

A page declares regions; its `load` asks the API and returns one value for each. A server that does not answer leaves
the last values where they are and says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components import panels
from dashboard.components.attributes import attributes
from dashboard.components.still import still
from dashboard.context import Monitor
from dashboard.links import Links
from pandascope.addresses import Address
from pandascope.errors import ClientError, NotAuthorised, ServerUnreachable

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

ADDRESS = "address"
LIVE = "live"
AGAIN = "again"
"""Ids of the root parts: the only Location, the store of the last change signal, the store that asks for a re-read."""


_NOT_FILTERS = frozenset({"limit", "cursor", "facets", "self"})


@dataclass(frozen=True)
class View:
    """One request of one page."""

    address: Address
    client: AsyncClient
    links: Links
    is_signal: bool
    """Whether a change signal asked, so that rows under the reader's hand must not move."""
    states: tuple[Any, ...] = ()

    @property
    def number(self) -> int:
        """The number of the object that the page shows; only for pages that have one."""
        assert self.address.number is not None
        return self.address.number

    @property
    def filters(self) -> dict[str, str]:
        """The filters to ask with."""
        return question(self.address)


def question(address: Address) -> dict[str, str]:
    """The filters of an address; what the page itself decides (how many, from where on) is not the reader's."""
    return {name: value for name, value in address.filters.items() if name not in _NOT_FILTERS}


Load = Callable[[View], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Page:
    """A page of the monitor; `dashboard/pages/__init__.py` lists them."""

    name: str
    title: Callable[[Address], str]
    layout: Callable[[Address, Links], Any]
    regions: tuple[tuple[str, str], ...]
    """(component id, property) of every value that `load` returns, in order."""
    load: Load
    topics: Callable[[Address], list[str]]
    """Change signals that concern what the page shows."""
    states: tuple[tuple[str, str], ...] = ()
    more: Callable[[Dash, Monitor], None] | None = field(default=None)
    """Registers further callbacks of the page."""

    @property
    def problem_id(self) -> str:
        """Where the page says that something is wrong."""
        return f"{self.name}-problem"

    def frame(self, address: Address, links: Links) -> html.Div:
        """The page before anything is known."""
        return html.Div(
            [html.Div(id=self.problem_id), self.layout(address, links)],
            className=f"page page-{self.name}",
            **attributes(data_topics=" ".join(self.topics(address))),
        )


def register(app: Dash, monitor: Monitor, page: Page) -> None:
    """Connect a page: its loading callback and whatever more it has."""
    outputs = [Output(component, prop) for component, prop in page.regions]
    nothing = [no_update] * len(outputs)
    # the heading stays, and what is no content: a plot without a figure is an error, a part without a style shows
    blank = [no_update, *(None if prop == "children" else no_update for _, prop in page.regions[1:])]
    states = [State(component, prop) for component, prop in page.states]

    @app.callback(
        [*outputs, Output(page.problem_id, "children")],
        Input(ADDRESS, "href"),
        Input(LIVE, "data"),
        Input(AGAIN, "data"),
        *states,
    )
    async def fill(href: str | None, _live: Any, _again: Any, *values: Any) -> list[Any]:
        address = monitor.links.parse(href)
        if address is None or address.page != page.name:
            raise PreventUpdate
        is_signal = ctx.triggered_id == LIVE
        try:
            async with monitor.client() as client:
                view = View(address, client, monitor.links, is_signal, values)
                return [*_drawn(await page.load(view), page.regions), None]
        except ServerUnreachable as error:
            return [*nothing, panels.away(error) if is_signal else panels.problem(error)]
        except NotAuthorised as error:
            return [*blank, panels.problem(error, "Sign in with a token: the button is at the top right.")]
        except ClientError as error:
            return [*(nothing if is_signal else blank), panels.problem(error)]

    if page.more is not None:
        page.more(app, monitor)


def _drawn(values: Sequence[Any], regions: Sequence[tuple[str, str]]) -> list[Any]:
    """What a page loaded, in as few components as can be (components/still.py)."""
    return [still(value) if prop == "children" else value for value, (_, prop) in zip(values, regions, strict=True)]


def in_browser(app: Any, function: Any, output: Output, source: Input, *, initially: bool = True) -> None:
    """Connect a callback that runs in the browser (Dash's own declaration of this has no types)."""
    app.clientside_callback(function, output, source, prevent_initial_call=not initially)
