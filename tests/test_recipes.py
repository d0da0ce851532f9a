"""The recipes of the post: each plans in both worlds, trains each mixture once, and holds what it promises."""

import itertools
import json

import pytest

from composer.cli import main
from composer.pool import open_pool
from composer.recipe import load_recipe
from composer.study.plan import make_plan

DESIGNS = ("leave_one_out", "daily_swap", "mcqa_dose", "openthought_scaling", "modes", "all")
RECIPES = [f"ko_r1_3/{name}" for name in DESIGNS]


def plan_of(capsys, tmp_path, *arguments):
    """What `composer plan --json` says."""
    assert main(["plan", *arguments, "--json", f"out={tmp_path / 'out'}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "out/plan.json").read_text())
    return said


@pytest.fixture(scope="module")
def studies():
    """Recipe → (recipe, pool, plan), in the mini world."""
    found = {}
    for name in RECIPES:
        recipe = load_recipe(name, [])
        pool = open_pool(recipe.config.pool)
        found[name] = recipe, pool, make_plan(recipe, pool)
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_it_plans_in_the_mini_world(capsys, tmp_path, name):
    plan = plan_of(capsys, tmp_path, name, "findings.detect=0.1")
    assert (plan["pool"]["name"], plan["needs"], plan["unknown"]) == ("mini", [], [])
    assert len(plan["trials"]) == plan["expected"]["trials"] == len(plan["arms"]) * plan["seeds"]
    assert plan["expected"]["wall_seconds"] < 30 * 60
    assert len({arm["mixture"]["digest"] for arm in plan["arms"].values()}) == len(plan["arms"])
    seen = plan["power"]["benchmarks"]
    assert {*seen, *plan["power"]["unknown"]} == set(plan["benchmarks"])
    for name, design in plan["designs"].items():
        power = plan["power"]["designs"][name]["benchmarks"]
        assert set(power) == set(seen)
        assert all(one["smallest_gain"] > 0 and one["seeds_needed"] > 1 for one in power.values())
        assert design["trials"] == len({point["arm"] for point in design["points"]}) * plan["seeds"]
        assert design["tokens"] > 0 and design["seconds"] > 0


@pytest.mark.parametrize("name", RECIPES)
def test_it_plans_in_the_full_world_and_says_what_is_not_known_here(capsys, tmp_path, name):
    plan = plan_of(capsys, tmp_path, name, "world=full")
    assert (plan["pool"]["name"], plan["model"]["name"], plan["needs"]) == ("ko_r1_3", "kanana_8b", ["gpu", "network"])
    assert plan["expected"]["tokens"] is None and "pool=ko_r1_3" in plan["unknown"][0]
    run3 = plan["arms"]["run3"]["mixture"]
    assert run3["rows"] == 50000 and run3["categories"]["mcqa"]["rows"] == 2700
    assert len({json.dumps(arm["mixture"]) for arm in plan["arms"].values()}) == len(plan["arms"])


@pytest.mark.parametrize("name", RECIPES)
def test_the_full_world_is_refused_here_before_anything_is_fetched(capsys, tmp_path, name):
    assert main(["run", name, "world=full", f"out={tmp_path / 'out'}"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "pool=ko_r1_3 needs the network" in told and "model=kanana_8b needs" in told
    assert not (tmp_path / "out").exists()


def test_both_worlds_have_the_same_arms_and_designs(studies):
    for name, (mini, _, _) in studies.items():
        full = load_recipe(name, ["world=full"])
        assert [design.kind for design in full.designs] == [design.kind for design in mini.designs]
        assert len(full.arms) == len(mini.arms)
        assert full.comparisons == mini.comparisons and full.config.study.claims == mini.config.study.claims


def test_the_rungs_of_a_ladder_lie_in_each_other_and_differ_in_their_category_alone(studies):
    ladders = 0
    for recipe, pool, plan in studies.values():
        category = dict(zip(pool.index.ids.to_pylist(), _categories(pool.index), strict=True))

        def rows(arm, pool=pool, plan=plan):
            return set(pool.index.ids.take(plan.mixtures[arm].positions).to_pylist())

        for design in recipe.designs:
            if design.kind not in {"dose_ladder", "scaling_ladder"}:
                continue
            ladders += 1
            for low, high in itertools.pairwise(design.points):
                less, more = rows(low.arm), rows(high.arm)
                assert less < more and len(more - less) == high.dose - low.dose
                assert {category[row] for row in more - less} == {low.category}
    assert ladders == 5


def _categories(index):
    return [category for (category, _), size in zip(index.strata, index.sizes, strict=True) for _ in range(size)]


def test_all_trains_no_mixture_of_its_parts_twice(studies):
    parts = [name for name in RECIPES if name not in {"ko_r1_3/all", "ko_r1_3/modes"}]
    digests = {mixture.digest for name in parts for mixture in studies[name][2].mixtures.values()}
    recipe, _, plan = studies["ko_r1_3/all"]
    together = {mixture.digest for mixture in plan.mixtures.values()}
    assert digests < together and len(plan.mixtures) == len(together)
    assert {design.name for design in recipe.designs} == {name.rsplit("/")[-1] for name in parts}


def test_its_claims_name_what_answers_them(studies):
    recipe, _, plan = studies["ko_r1_3/all"]
    claims = plan.facts["claims"]
    assert {"scales", "better", "worse", "equivalent", "threshold"} == {claim["expect"] for claim in claims.values()}
    assert all(claim["says"] and claim["figure"] and "Ko-R1-3" in claim["source"] for claim in claims.values())
    enough = claims["little_mcqa_restores"]
    assert enough["dose"] == plan.facts["arms"]["run3"]["mixture"]["categories"]["mcqa"]["rows"]
    full = load_recipe("ko_r1_3/all", ["world=full"])
    assert make_plan(full, None).facts["claims"]["little_mcqa_restores"]["dose"] == 2700


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("study.claims.x.arm=run3", "compares run3 with itself"),
        ("study.claims.x.arm=run9", "study.claims.x.arm is run9"),
        ("study.claims.x.benchmarks=[chess]", "study.claims.x.benchmarks is chess"),
        ("study.claims.x.expect=wonders", "better, worse, equivalent, scales, threshold"),
        ("study.claims.x.expect=scales", "a design must answer it"),
    ],
)
def test_a_claim_that_nothing_could_answer_is_refused(capsys, tmp_path, override, told):
    claim = ["study.claims.x.says=so", "study.claims.x.arm=run1", "study.claims.x.benchmarks=[haerae]"]
    claim += ["study.claims.x.expect=better"]
    assert main(["plan", "ko_r1_3/all", *claim, override, f"out={tmp_path / 'out'}"]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_the_switch_of_worlds_reaches_the_quickstart(studies):
    mini, full = load_recipe("quickstart", []), load_recipe("quickstart", ["world=full"])
    assert (mini.config.pool.name, mini.config.model.name, mini.config.trainer.name) == ("mini", "mini", "mini")
    assert (full.config.pool.name, full.config.model.name) == ("ko_r1_3", "kanana_8b")
