from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.report.curves import thinned
from composer.report.svg import Scale, fitted, text_width, tick_text, ticks

ends = st.floats(-1e6, 1e6)


@given(ends, st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_round_evenly_apart_and_inside(low: float, span: float, about: int) -> None:
    marks = ticks(low, low + span, about)
    step = span / about
    assert len(marks) <= about + 1
    assert all(low - 1e-6 * step <= mark <= low + span + 1e-6 * step for mark in marks) or span < 1e-8 * abs(low)
    assert marks == sorted(marks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (-12.0, 13.0, ["−10", "−5", "0", "5", "10"]),
        (-0.12, 0.11, ["−0.10", "−0.05", "0.00", "0.05", "0.10"]),
        (0, 4000, ["0", "1k", "2k", "3k", "4k"]),
    ],
)
def test_ticks_read_well(low: float, high: float, texts: list[str]) -> None:
    marks = ticks(low, high, 6)
    assert [tick_text(mark, marks) for mark in marks] == texts


def test_a_scale_is_a_line() -> None:
    scale = Scale(-1, 1, 100, 300)
    assert [scale(-1), scale(0), scale(1)] == [100, 200, 300]


@given(st.text(max_size=30), st.floats(20, 200))
def test_text_is_cut_only_where_it_does_not_fit(text: str, room: float) -> None:
    cut = fitted(text, room)
    assert text_width(cut) <= room
    assert cut == text if text_width(text) <= room else cut.endswith("…")


def test_hangul_is_wide() -> None:
    assert text_width("데이터") > text_width("data")


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300))
def test_a_thinned_curve_keeps_its_spikes_and_its_order(losses: list[float]) -> None:
    curve = [(float(step), loss) for step, loss in enumerate(losses)]
    kept = thinned(curve, 20)
    assert len(kept) <= max(20, min(len(curve), 20))
    assert kept == sorted(kept)
    assert set(kept) <= set(curve)
    assert max(loss for _, loss in kept) == max(losses)
    assert min(loss for _, loss in kept) == min(losses)
