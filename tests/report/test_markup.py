from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.report.markup import Markup, join, number, tag


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"))))
def test_text_is_escaped_and_nothing_else_changes(text: str) -> None:
    content = tag("p", text)[len("<p>") : -len("</p>")]
    assert not set("<>") & set(content)
    assert unescape(content) == text


def test_attributes_cannot_break_out() -> None:
    assert tag("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'


def test_markup_goes_in_as_it_is_and_none_is_left_out() -> None:
    assert tag("p", tag("b", "a<b"), None, " & c", class_="x", hidden=False, open=True, stroke_width=1.5) == (
        '<p class="x" open stroke-width="1.5"><b>a&lt;b</b> &amp; c</p>'
    )
    assert join(["<", Markup("<br>")]) == "&lt;<br>"
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (-0.001, "0"), (100.0, "100"), (0.126, "0.13")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_coordinate_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        tag("circle", cx=value)
