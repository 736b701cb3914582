"""What is only to be looked at, as one component: Dash spends a millisecond of the browser on each of its own, and a table
has a thousand. Knows no page; assets/still.js draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash.development.base_component import Component

_HTML = "dash_html_components"
_NOT_HTML = ("El",)
"""Ends of the names of Dash's elements whose tag is another than their name (`ObjectEl`, `MapEl`)."""

Tree = list[Any]
"""`[tag, attributes, children]`, where children are texts, numbers, trees and None."""


class Still(Component):
    """Elements without an id, which no callback can name: drawn by React alone, as text and never as HTML."""

    _children_props: list[str] = []
    _namespace = "pandascope_still"
    _type = "Still"
    _prop_names = ["trees"]
    _valid_wildcard_attributes: list[str] = []
    available_properties = _prop_names
    available_wildcard_properties: list[str] = []

    def __init__(self, trees: list[Any]) -> None:
        # not super().__init__: for each value it looks for a Python package of this name, to word a complaint
        self.trees = trees


def still(value: Any) -> Any:
    """The same to look at, with everything that has no id in as few components as can be.

    What has an id, what is no plain element (a plot, a field), and what holds such, stays as it is.
    """
    if isinstance(value, list | tuple):
        return _row(value)
    if not isinstance(value, Component):
        return value
    tree = _tree(value)
    if tree is not None:
        return Still([tree])
    if _is_element(value) and getattr(value, "children", None) is not None:
        value.children = still(value.children)
    return value


def _row(values: Sequence[Any]) -> list[Any]:
    """Neighbours that are still become one."""
    made: list[Any] = []
    for value in values:
        one = still(value)
        if isinstance(one, Still) and made and isinstance(made[-1], Still):
            made[-1] = Still([*made[-1].trees, *one.trees])
        else:
            made.append(one)
    return made


def _is_element(value: Any) -> bool:
    return isinstance(value, Component) and value._namespace == _HTML and not value._type.endswith(_NOT_HTML)


def _tree(value: Any) -> Tree | None:
    """A component as a tree; None when it, or something in it, has to stay a component."""
    if not _is_element(value) or getattr(value, "id", None) is not None:
        return None
    attributes = dict(value.to_plotly_json()["props"])
    children = attributes.pop("children", None)
    inner: list[Any] = []
    for child in children if isinstance(children, list | tuple) else [children]:
        if isinstance(child, list | tuple):
            return None
        if not isinstance(child, Component):
            inner.append(child)
        elif isinstance(child, Still):
            inner += child.trees
        else:
            tree = _tree(child)
            if tree is None:
                return None
            inner.append(tree)
    return [value._type.lower(), attributes, inner]
