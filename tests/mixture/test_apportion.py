import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.mixture import apportion

from .worlds import reference

WEIGHTS = st.lists(
    st.one_of(st.integers(0, 9), st.sampled_from([0.05, 0.1, 0.15, 0.3, 0.45]), st.floats(0, 1e6)),
    min_size=1,
    max_size=8,
).filter(any)


@given(st.integers(0, 300), WEIGHTS)
def test_seats_are_those_of_the_definition(seats: int, weights: list[float]) -> None:
    assert apportion(seats, weights) == reference(seats, weights)


@given(st.data(), WEIGHTS)
def test_capped_seats_are_those_of_the_definition(data: st.DataObject, weights: list[float]) -> None:
    caps = data.draw(st.lists(st.integers(0, 60), min_size=len(weights), max_size=len(weights)))
    room = sum(cap for cap, weight in zip(caps, weights, strict=True) if weight)
    seats = data.draw(st.integers(0, room))
    assert apportion(seats, weights, caps) == reference(seats, weights, caps)


@given(WEIGHTS, st.integers(0, 10**7))
def test_one_seat_more_goes_to_one_and_takes_from_none(weights: list[float], seats: int) -> None:
    fewer, more = apportion(seats, weights), apportion(seats + 1, weights)
    assert sorted(b - a for a, b in zip(fewer, more, strict=True)) == [0] * (len(weights) - 1) + [1]


@given(WEIGHTS, st.data())
def test_capped_seats_too_are_never_taken_away(weights: list[float], data: st.DataObject) -> None:
    caps = data.draw(st.lists(st.integers(0, 10**6), min_size=len(weights), max_size=len(weights)))
    room = sum(cap for cap, weight in zip(caps, weights, strict=True) if weight)
    seats = data.draw(st.integers(0, room))
    fewer, more = apportion(seats, weights, caps), apportion(room, weights, caps)
    assert all(a <= b for a, b in zip(fewer, more, strict=True))
    assert all(b == (cap if weight else 0) for b, cap, weight in zip(more, caps, weights, strict=True))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300).filter(any))
def test_as_many_seats_as_weights_are_the_weights(weights: list[int]) -> None:
    assert apportion(sum(weights), weights) == weights


@given(WEIGHTS, st.integers(1, 10**9))
def test_no_seat_could_go_to_a_greater_claim(weights: list[float], seats: int) -> None:
    held = apportion(seats, weights)
    assert sum(held) == seats
    last = min(Fraction(w) / (2 * n - 1) for w, n in zip(weights, held, strict=True) if n)
    assert all(Fraction(w) / (2 * n + 1) <= last for w, n in zip(weights, held, strict=True))


def test_of_equal_claims_the_smaller_index_wins() -> None:
    assert apportion(3, [1, 1]) == [2, 1]
    assert apportion(1, [3, 9, 9]) == [0, 1, 0]
    assert apportion(2, [1, 3]) == [1, 1]
    assert apportion(2, [3, 1]) == [2, 0]


def test_claims_that_division_rounds_to_the_same_are_told_apart() -> None:
    weight = 2**60
    assert float(weight) == float(weight + 1)
    assert apportion(1, [weight, weight + 1]) == [0, 1]


def test_weights_of_extreme_ratio() -> None:
    assert apportion(10**6, [5e-324, 1.7e308]) == [0, 10**6]


def test_millions_of_seats_over_hundreds_of_weights_take_no_time() -> None:
    weights = [1 / (place + 1) for place in range(500)]
    start = time.perf_counter()
    held = apportion(10**7, weights, [10**7 // (place + 20) for place in range(500)])
    assert sum(held) == 10**7
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize(
    ("seats", "weights", "caps", "said"),
    [
        (-1, [1], None, "seats is -1"),
        (1, [1, -2], None, r"weights\[1\] is -2"),
        (1, [float("nan")], None, r"weights\[0\] is nan"),
        (1, [0, 0.0], None, "room for only 0"),
        (5, [1, 1], [2, 2], "room for only 4"),
        (1, [1, 1], [2], "caps must be 2 numbers"),
        (1, [1, 1], [2, -1], "caps must be 2 numbers"),
    ],
)
def test_what_cannot_be_apportioned_is_refused(
    seats: int, weights: list[float], caps: list[int] | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        apportion(seats, weights, caps)
