"""What is only to be looked at becomes one component, whatever stands in it; what a callback can name stays one of Dash's."""

from __future__ import annotations

from dash import dcc, html

from dashboard.components import buttons, marks, panels
from dashboard.components.still import Still, still


def _trees(value):
    assert isinstance(value, Still)
    return value.trees


def test_a_table_with_links_marks_and_buttons_is_one_component():
    rows = [
        [html.A("x", href="/q"), marks.age("2026-11-27T02:00:00+00:00"), buttons.row(buttons.button("Go", "w", number))]
        for number in range(200)
    ]
    (tree,) = _trees(
        still(panels.panel("Title", panels.table(["A", "When", ""], rows, keys=list(map(str, range(200))))))
    )
    tag, attributes, (_, body) = tree
    assert (tag, attributes) == ("section", {"className": "panel"})
    lines = body[2][0][2][0][2][1][2]
    assert [line[1] for line in lines[:2]] == [{"key": "0"}, {"key": "1"}]
    assert lines[7][2][0][2] == [["a", {"href": "/q"}, ["x"]]]
    assert lines[7][2][1][2] == [["span", {"className": "age", "data-time": "2026-11-27T02:00:00+00:00"}, [None]]]
    assert lines[7][2][2][2][0][2][0][1]["data-to"] == "7"


def test_what_has_an_id_or_is_no_plain_element_stays_a_component_among_still_neighbours():
    page = html.Div([html.P("a"), html.P("b"), html.Div("c", id="named"), html.P(html.Span("d")), dcc.Store(id="s")])
    made = still(page)
    assert made is page and isinstance(made, html.Div)
    first, named, second, store = made.children
    assert _trees(first) == [["p", {}, ["a"]], ["p", {}, ["b"]]]
    assert named.id == "named" and named.children == "c"
    assert _trees(second) == [["p", {}, [["span", {}, ["d"]]]]]
    assert isinstance(store, dcc.Store)


def test_texts_and_what_is_nothing_stay_as_they_are():
    assert still("only words") == "only words"
    assert still(None) is None
    assert still(["a", None, 3]) == ["a", None, 3]
    again = still(html.P("a"))
    assert still(again) is again
    assert _trees(still(html.Div([again, "b"]))) == [["div", {}, [["p", {}, ["a"]], "b"]]]


def test_hostile_words_stay_words():
    assert _trees(still(html.P("<img src=x onerror=hack()>"))) == [["p", {}, ["<img src=x onerror=hack()>"]]]
