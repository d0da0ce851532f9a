"""The laws of the space of mixtures."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from composer.errors import ConfigError
from composer.study.space import REACH, Space, bounded_space, make_space


@st.composite
def spaces(draw, most=6):
    size = draw(st.integers(2, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inside = random.dirichlet(np.ones(size))
    low = inside * random.uniform(0, 0.9, size) * random.integers(0, 2, size)
    high = np.minimum(1, inside + random.uniform(0.05, 1, size))
    return make_space([f"c{place}" for place in range(size)], random.dirichlet(np.ones(size)), low, high)


def within(space, shares):
    assert np.allclose(shares.sum(axis=-1), 1, atol=1e-9)
    assert (shares >= space.low - 1e-9).all() and (shares <= space.high + 1e-9).all()


@given(spaces(), st.integers(0, 2**32 - 1))
def test_every_coordinate_and_every_draw_is_a_mixture_within_the_bounds(space, seed):
    random = np.random.default_rng(seed)
    within(space, space.decode(random.uniform(-REACH, REACH, (20, space.dimensions))))
    within(space, space.draw(20, random))
    within(space, space.near(space.reference, 20, 0.5, random))


@given(spaces())
def test_the_origin_is_the_reference(space):
    assume(((space.reference - space.low) / (1 - space.low.sum()) > 2e-4).all())
    assert np.allclose(space.decode(np.zeros(space.dimensions)), space.reference, atol=1e-9)


@given(spaces(), st.integers(0, 2**32 - 1))
def test_coordinates_of_a_mixture_lead_back_to_it(space, seed):
    shares = space.draw(10, np.random.default_rng(seed))
    above = (shares - space.low) / (1 - space.low.sum())
    coordinates = space.encode(shares)
    kept = (above > 2e-4).all(axis=1) & (np.abs(coordinates) < REACH).all(axis=1)
    assert np.allclose(space.decode(coordinates[kept]), shares[kept], atol=1e-8)


@given(spaces(4), st.integers(0, 2**32 - 1))
def test_the_projection_is_the_nearest_mixture(space, seed):
    given_shares = np.random.default_rng(seed).normal(0.3, 0.5, len(space.categories))
    ours = space.project(given_shares)
    theirs = minimize(
        lambda p: ((p - given_shares) ** 2).sum(), space.reference, method="SLSQP",
        bounds=list(zip(space.low, space.high, strict=True)), constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-14},
    )  # fmt: skip
    within(space, ours)
    assert ((ours - given_shares) ** 2).sum() <= theirs.fun + 1e-7
    assert np.allclose(space.project(ours), ours, atol=1e-12)


def test_a_step_along_a_coordinate_is_a_step_in_log_ratios():
    space = bounded_space({"a": 0.5, "b": 0.3, "c": 0.2}, {})
    moved = space.decode(np.array([0.4, -0.2]))
    logs = np.log(moved) - np.log(space.reference)
    assert np.isclose(np.linalg.norm(logs - logs.mean()), np.hypot(0.4, 0.2))


def test_draws_reach_all_of_the_simplex():
    shares = bounded_space({"a": 0.9, "b": 0.05, "c": 0.05}, {}).draw(400, np.random.default_rng(0))
    assert (shares.max(axis=0) > 0.8).all() and (shares.min(axis=0) < 0.05).all()


def test_availability_caps_the_shares():
    space = bounded_space({"a": 0.5, "b": 0.5}, {"a": [0.1, 0.9]}).capped(np.array([0.3, 1.0]))
    assert space.high.tolist() == [0.3, 1.0] and np.allclose(space.reference, [0.3, 0.7])


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"a": [0.7, 1], "b": [0.6, 1]}, "lowest shares sum to 1.3, above 1"),
        ({"a": [0, 0.2], "b": [0, 0.3]}, "highest shares sum to 0.5, below 1.*a 0.2, b 0.3"),
        ({"a": [0.4, 0.4]}, "leave one mixture only"),
        ({"a": [0.5, 1], "b": [0.5, 1]}, "leave one mixture only"),
    ],
)
def test_bounds_that_leave_no_choice_are_told(bounds, told):
    with pytest.raises(ConfigError, match=told):
        bounded_space({"a": 0.5, "b": 0.5}, bounds)


def test_a_cap_below_a_lower_bound_is_told_by_name():
    space = bounded_space({"mcqa": 0.5, "daily": 0.5}, {"mcqa": [0.4, 1]})
    with pytest.raises(ConfigError, match="mcqa needs a share of at least 0.4 and can have at most 0.3"):
        space.capped(np.array([1.0, 0.3]))


def test_one_category_alone_has_no_room():
    with pytest.raises(ConfigError, match="one mixture only"):
        make_space(["a"], np.ones(1), np.zeros(1), np.ones(1))
    assert isinstance(bounded_space({"a": 1.0, "b": 0.0}, {}), Space)
