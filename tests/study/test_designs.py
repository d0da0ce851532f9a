"""Designs: the arms that each makes, what they hold fixed, and that they lie in each other where they should."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture.worlds import grid, index_of

from composer.config import ArmConfig, EditConfig, MixtureConfig, StudyConfig
from composer.config_designs import KINDS, DesignConfig
from composer.errors import ConfigError
from composer.mixture import compose
from composer.mixture.planned import planned_rows
from composer.study.designs import expand, pool_problems
from composer.study.designs.expand import FAMILIES, FINDINGS

ROWS = {"code": 40, "daily": 100, "mcqa": 12, "think": 60}
POOL = index_of(grid(code=[90, 70], daily=[100, 150, 50], mcqa=[60, 40], think=[200, 100]))


class World:
    """Designs made definite over one base mixture; `to` is the other mixture that swaps lead to."""

    def __init__(self, designs, rows=ROWS, to=None, arms=None, proposed=None):
        self.base = MixtureConfig(by="rows", quotas=dict(rows))
        self.to = MixtureConfig(by="rows", quotas=dict(to or rows))
        study = StudyConfig(designs=designs, arms=arms or {})
        assert not list(study.problems())
        self.arms, designs = expand(study, self.mixture_of, proposed or {})
        self.designs = {design.name: design for design in designs}
        self.mixtures = {name: self.mixture_of(arm) for name, arm in self.arms.items()}

    def mixture_of(self, arm):
        mixture = self.to if arm.recipe == "other" else self.base
        return replace(mixture, edits={**mixture.edits, **arm.edits})

    def rows(self, arm):
        return {category: rows for category, rows in planned_rows(self.mixtures[arm]).items() if rows}

    def ids(self, arm):
        return set(POOL.ids.take(compose(POOL, self.mixtures[arm]).positions).to_pylist())


def one(kind, **more):
    """The arms of a single design, and the design."""
    world_of = {key: more.pop(key) for key in ("rows", "to", "arms", "proposed") if key in more}
    if kind == "swaps":
        more["to"], world_of["to"] = "other", world_of.pop("to")
    world = World({"x": DesignConfig(kind=kind, **more)}, **world_of)
    return world, world.designs["x"]


def refused(kind, **more):
    with pytest.raises(ConfigError) as told:
        one(kind, **more)
    return str(told.value)


def without(rows, *categories):
    return {category: count for category, count in rows.items() if category not in categories}


def test_every_kind_has_a_family_and_a_finding():
    assert set(KINDS) == set(FAMILIES) == set(FINDINGS)


def test_leave_one_out_takes_each_category_away_and_leaves_the_rest():
    world, design = one("leave_one_out")
    assert world.rows(design.baseline) == ROWS
    assert len(design.arms) == 1 + len(ROWS)
    for category in ROWS:
        assert world.rows(f"without_{category}") == without(ROWS, category)
        assert world.ids(f"without_{category}") < world.ids("base")


def test_leave_one_out_at_constant_size_keeps_the_size_and_the_others_shares():
    world, _ = one("leave_one_out", hold="size", categories=["daily"])
    rows = world.rows("without_daily")
    assert sum(rows.values()) == sum(ROWS.values())
    scale = sum(ROWS.values()) / (sum(ROWS.values()) - ROWS["daily"])
    assert all(abs(count - scale * ROWS[category]) < 1 for category, count in rows.items())


def test_replace_gives_the_rows_to_another_category_at_the_same_size():
    world, design = one("replace", replacements={"daily": ["think", "code"]})
    assert design.arms == ("base", "think_for_daily", "code_for_daily")
    assert world.rows("think_for_daily") == {**without(ROWS, "daily"), "think": 160}
    assert {point.size for point in design.points} == {sum(ROWS.values())}
    shared = {row for row in world.ids("base") if not row.startswith("daily")}
    assert shared < world.ids("think_for_daily")


doses = st.lists(st.integers(0, 100), min_size=2, max_size=5, unique=True)


@settings(max_examples=30)
@given(doses)
def test_a_dose_ladder_only_adds_rows_of_its_category(found):
    world, design = one("dose_ladder", category="mcqa", doses=found)
    assert [point.dose for point in design.points] == sorted(found)
    assert design.baseline == design.points[0].arm
    for low, high in itertools.pairwise(design.points):
        assert without(world.rows(low.arm), "mcqa") == without(world.rows(high.arm), "mcqa") == without(ROWS, "mcqa")
        more, less = world.ids(high.arm), world.ids(low.arm)
        assert less < more and len(more - less) == high.dose - low.dose
        assert all(row.startswith("mcqa") for row in more - less)


@settings(max_examples=30)
@given(doses)
def test_a_dose_ladder_of_constant_size_trades_the_category_for_the_rest(found):
    world, design = one("dose_ladder", category="mcqa", doses=found, hold="size")
    for low, high in itertools.pairwise(design.points):
        assert low.size == high.size == sum(ROWS.values())
        smaller, larger = world.rows(low.arm), world.rows(high.arm)
        assert all(larger.get(category, 0) <= count for category, count in smaller.items() if category != "mcqa")


@settings(max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=2, max_size=4, unique=True))
def test_a_scaling_ladder_is_nested_within_each_category(sizes):
    world, design = one("scaling_ladder", categories=["mcqa", "think"], sizes=sizes)
    for category in ("mcqa", "think"):
        rungs = [point for point in design.points if point.category == category]
        assert [point.dose for point in rungs] == sorted(sizes)
        for low, high in itertools.pairwise(rungs):
            assert world.ids(low.arm) < world.ids(high.arm)
            assert without(world.rows(high.arm), category) == without(ROWS, category)


@settings(max_examples=30)
@given(st.lists(st.integers(4, 212), min_size=2, max_size=4, unique=True))
def test_a_scaling_ladder_of_the_whole_is_nested(sizes):
    world, design = one("scaling_ladder", sizes=sizes)
    for low, high in itertools.pairwise(design.points):
        assert world.ids(low.arm) < world.ids(high.arm)
        assert (len(world.ids(low.arm)), len(world.ids(high.arm))) == (low.dose, high.dose)


def test_several_categories_cannot_scale_at_one_size():
    assert "neither scales alone" in refused("scaling_ladder", categories=["mcqa", "think"], sizes=[5, 9], hold="size")


def test_fractions_are_of_the_bases_rows_and_must_differ_by_a_row():
    _, design = one("dose_ladder", category="mcqa", fractions=[0, 0.125, 0.25, 1, 2])
    assert [point.dose for point in design.points] == [0, 2, 3, 12, 24]  # 1.5 rows are 2
    told = refused("dose_ladder", category="mcqa", fractions=[0.17, 0.2, 1])
    assert "12 rows" in told and "fractions" in told


def test_swaps_go_from_one_mixture_to_the_other_a_step_at_a_time():
    target = {"code": 40, "daily": 0, "mcqa": 30, "think": 160}
    world, design = one("swaps", to=target, groups=[["daily", "think"]])
    assert world.rows(design.points[0].arm) == ROWS
    assert world.rows("daily_think_of_other") == {"code": 40, "mcqa": 12, "think": 160}
    assert world.rows("mcqa_of_other") == {**ROWS, "mcqa": 30}
    assert world.rows("all_of_other") == without(target, "daily")
    assert len(design.arms) == 4


def test_a_swap_of_what_does_not_differ_is_refused():
    assert "daily, mcqa" in refused("swaps", to={**ROWS, "daily": 1, "mcqa": 1}, groups=[["code"]])
    assert "one that differs" in refused("swaps", to=ROWS)


factors = st.lists(st.sampled_from(sorted(ROWS)), min_size=2, max_size=3, unique=True)


@settings(max_examples=30)
@given(factors, st.data())
def test_a_factorials_contrasts_find_the_effects_that_were_planted(chosen, data):
    world, design = one("factorial", categories=chosen)
    assert len(design.points) == len(design.arms) == 2 ** len(chosen)
    for point in design.points:
        expected = {**ROWS, **{c: ROWS[c] * level for c, level in point.levels.items()}}
        assert world.rows(point.arm) == {category: rows for category, rows in expected.items() if rows}
    number = st.integers(-50, 50)
    main = {factor: data.draw(number) for factor in chosen}
    first, second = chosen[:2]
    joint = data.draw(number)
    score = {
        point.arm: 7
        + sum(main[factor] * level for factor, level in point.levels.items())
        + joint * point.levels[first] * point.levels[second]
        for point in design.points
    }
    for effect in design.effects:
        assert sum(effect.weights.values()) == pytest.approx(0)
        found = sum(weight * score[arm] for arm, weight in effect.weights.items())
        # With the other factors half the time high, half of the interaction is in each main effect.
        planted = main[effect.factors[0]] if len(effect.factors) == 1 else 0
        planted += joint / 2 if set(effect.factors) <= {first, second} else 0
        assert found == pytest.approx(planted)


def test_a_factorial_takes_declared_levels():
    world, design = one("factorial", categories=["daily", "mcqa"], levels={"mcqa": [5, 50]})
    assert world.rows(design.baseline) == {"code": 40, "mcqa": 5, "think": 60}
    assert world.rows("daily_and_mcqa") == {**ROWS, "mcqa": 50}
    assert "levels" in refused("factorial", categories=["daily", "chess"])


def test_an_adaptive_design_starts_with_its_first_doses_and_takes_the_proposed_ones():
    more = {"category": "mcqa", "doses": [0, 40], "max_doses": 5}
    world, design = one("adaptive_dose", **more)
    assert [point.dose for point in design.points] == [0, 40]
    grown, design = one("adaptive_dose", **more, proposed={"x": (17, 6)})
    assert [point.dose for point in design.points] == [0, 40, 17, 6]
    assert all(grown.rows(arm) == world.rows(arm) for arm in world.arms)


def test_a_mixture_that_is_there_already_is_not_made_again():
    world = World(
        {
            "out": DesignConfig(kind="leave_one_out", categories=["mcqa", "daily"]),
            "dose": DesignConfig(kind="dose_ladder", category="mcqa", fractions=[0, 1, 2]),
        },
        arms={"mine": ArmConfig()},
    )
    assert set(world.arms) == {"mine", "without_mcqa", "without_daily", "mcqa_24"}
    assert world.designs["dose"].arms == ("without_mcqa", "mine", "mcqa_24")
    assert world.designs["dose"].baseline == "without_mcqa"
    rows = [tuple(world.rows(arm).items()) for arm in world.arms]
    assert len(set(rows)) == len(rows)


def test_a_design_may_vary_an_arm():
    arm = ArmConfig(edits={"small": EditConfig(resize=106)})
    world, design = one("dose_ladder", category="mcqa", doses=[0, 50], arms={"small": arm}, base="small")
    assert design.base_rows == world.rows("small")
    assert world.rows("mcqa_50") == {**world.rows("small"), "mcqa": 50}
    assert "base is large" in refused("dose_ladder", category="mcqa", doses=[0, 5], base="large")


def test_two_mixtures_of_one_name_are_told_apart_by_a_prefix():
    arm = ArmConfig(edits={"small": EditConfig(resize=106)})
    ladders = {
        "all": DesignConfig(kind="dose_ladder", category="mcqa", doses=[0, 50]),
        "small": DesignConfig(kind="dose_ladder", category="mcqa", doses=[0, 50], base="small"),
    }
    with pytest.raises(ConfigError, match="study.designs.small.prefix"):
        World(ladders, arms={"small": arm})
    ladders["small"].prefix = "small_"
    assert {"mcqa_50", "small_mcqa_50"} < set(World(ladders, arms={"small": arm}).arms)


def test_what_the_pool_lacks_is_told_for_all_designs_at_once():
    world = World(
        {
            "dose": DesignConfig(kind="dose_ladder", category="mcqa", doses=[0, 101]),
            "chess": DesignConfig(kind="replace", replacements={"daily": ["chess"]}),
        }
    )
    told = list(pool_problems(tuple(world.designs.values()), world.mixtures, POOL))
    assert len(told) == 2
    assert "study.designs.dose" in told[0] and "101 rows of mcqa" in told[0] and "has 100" in told[0]
    assert "study.designs.chess" in told[1] and "no such category" in told[1]
    world = World({"dose": DesignConfig(kind="dose_ladder", category="mcqa", doses=[0, 100])})
    assert not list(pool_problems(tuple(world.designs.values()), world.mixtures, POOL))


@pytest.mark.parametrize(
    ("design", "told"),
    [
        ({"kind": "dose"}, "dose_ladder"),
        ({"kind": "dose_ladder", "category": "mcqa"}, "exactly one of doses"),
        ({"kind": "dose_ladder", "category": "mcqa", "doses": [5]}, "at least 2"),
        ({"kind": "dose_ladder", "doses": [0, 5]}, "category is not set"),
        ({"kind": "dose_ladder", "category": "mcqa", "doses": [0, -5]}, "holds -5"),
        ({"kind": "dose_ladder", "category": "mcqa", "doses": [0, 5], "sizes": [3]}, "sizes is given"),
        ({"kind": "replace"}, "replacements is empty"),
        ({"kind": "swaps"}, "to is not set"),
        ({"kind": "factorial", "categories": ["mcqa"]}, "2 to 5"),
        ({"kind": "adaptive_dose", "category": "m", "doses": [0, 5], "narrow": 1.0}, "factor above 1"),
        ({"kind": "adaptive_dose", "category": "m", "doses": [0, 5], "max_doses": 1}, "at least the 2 first"),
        ({"kind": "leave_one_out", "hold": "all"}, "rest, size"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused_with_what_is_allowed(design, told):
    problems = list(DesignConfig(**design).problems("study.designs.x"))
    assert len(problems) == 1
    assert "study.designs.x" in problems[0] and told in problems[0]
