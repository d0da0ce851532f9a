from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from composer.artifacts import write_json
from composer.errors import ComposerError, ConfigError, FindingsError, OutputError, RequestError
from composer.findings.asked import read_asked
from composer.findings.fit import OBJECTIVE, fit
from composer.findings.fit_recipe import WRITTEN, check_free, recipe_text
from composer.findings.fit_search import _rounded, raised
from composer.findings.trained_files import read_trained
from composer.study.space import bounded_space
from findings.fit_world import BEST, trials, write_csv, write_search

ADMIRE = Path("swarms/admire_ift_runs/admire_ift_runs.csv")


def trained(source: Path, **options):
    asked = read_asked(source, options)
    return read_trained(asked), asked


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The fit of a CSV of known functions, with mixtures to predict drawn where others were measured."""
    drawn = np.random.default_rng(9).dirichlet([4, 4, 4], 12)
    mixtures = [f"math={m},chat={c},code={r}" for m, c, r in drawn]
    path = write_csv(tmp_path_factory.mktemp("csv") / "known.csv")
    options = {"where": "model=small", "weights": "both=2", "lower": ["loss"], "mixture": mixtures, "folds": 2}
    of, asked = trained(path, **options)
    return fit(of, asked), drawn


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    weights = [f"study.search.objectives.{name}={weight}" for name, weight in (("kmmlu_redux", 3), ("daily", 1))]
    run = write_search(tmp_path_factory.mktemp("search") / "run", *weights)
    write_json(trials(run, "p003")[0] / "failed.json", {"error": "out of memory"})
    (trials(run, "p003")[0] / "record.json").unlink()
    (trials(run, "p004")[1] / "record.json").unlink()
    of, asked = trained(run, folds=2)
    steps = []
    return of, fit(of, asked, lambda told, done, total: steps.append((done, total))), steps


# What is found


def test_the_recommended_mixture_is_near_the_known_best_one(known):
    found, _ = known
    assert found.recommended.shares == pytest.approx({"math": 0.5, "chat": 0.3, "code": 0.2}, abs=0.06)
    assert found.recommended.predicted["both"].value == pytest.approx(0.6, abs=0.01)
    assert sum(found.recommended.shares.values()) == pytest.approx(1, abs=1e-12)
    assert found.recommended.predicted[OBJECTIVE] == found.recommended.predicted["both"]
    best = max(found.best.measured[name] for name in ("both", OBJECTIVE))
    assert best == found.best.measured["both"] and found.best.name.startswith("run ")
    assert found.within_noise == (found.advantage.low <= 0)


def test_an_advantage_that_left_out_mixtures_do_not_bear_out_is_within_noise(tmp_path):
    path = tmp_path / "noise.csv"
    random = np.random.default_rng(3)
    rows = [f"{share},{1 - share},{random.normal()}" for share in random.random(8)]
    path.write_text("\n".join(["ratio_a,ratio_b,metric_x", *rows]))
    of, asked = trained(path, folds=2)
    found = fit(of, asked)
    assert found.held["x"].error >= 0.95 * found.held["x"].spread and found.within_noise
    assert "hardly better than by their mean: x" in " ".join(found.notes)


def test_left_out_mixtures_are_ranked_and_the_error_is_below_the_spread(known):
    found, _ = known
    assert set(found.held) == {"both", "loss", OBJECTIVE}
    assert all(of.rank > 0.4 and of.error < of.spread and of.noise is None for of in found.held.values())
    assert (found.mixtures, found.trials) == (20, {"finished": 20, "failed": 0, "missing": 0})


def test_intervals_hold_what_is_known_of_other_mixtures(known):
    found, drawn = known
    inside = []
    for one, (math, chat, code) in zip(found.asked, drawn, strict=True):
        for name, truth in (("both", 0.6 - (math - 0.5) ** 2 - (chat - 0.3) ** 2), ("loss", 2 - 0.5 * code)):
            told = one.predicted[name]
            assert told.low <= told.value <= told.high
            inside.append(told.low <= truth <= told.high)
    assert np.mean(inside) > 0.75


def test_raising_a_category_moves_a_benchmark_the_way_it_should(known):
    found, _ = known
    effects = {one.category: one for one in found.effects}
    code = effects["code"].change["loss"]
    assert code.high < 0 and code.low < -0.5 * 0.05 < code.high  # less loss, by the slope times the step
    assert all(effects[name].change["loss"].low > 0 for name in ("math", "chat"))
    assert effects["code"].to_share == pytest.approx(effects["code"].from_share + 0.05)


def test_raised_keeps_the_others_proportions():
    assert raised(np.array([0.2, 0.3, 0.5]), 0, 0.1) == pytest.approx([0.3, 0.2625, 0.4375])
    assert raised(np.array([0.98, 0.01, 0.01]), 0, 0.05) == pytest.approx([1, 0, 0])


def test_a_search_is_read_with_its_noise_bounds_and_objective(searched):
    of, found, steps = searched
    assert found.trials == {"finished": 24, "failed": 1, "missing": 1} and found.mixtures == 13
    assert [len(one.scores) for one in of.mixtures].count(1) == 2
    assert {name: one["weight"] for name, one in found.benchmarks.items()} == {"kmmlu_redux": 0.75, "daily": 0.25}
    assert found.bounds == {"daily": [0, 1], "ko_r1_stem": [0, 1], "mcqa": [0.1, 0.4]} and found.bounded == "search"
    assert 0.001 < found.held["kmmlu_redux"].noise < 0.004
    assert found.held["daily"].rank is None and "daily" in " ".join(found.notes)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert all(done < total for done, total in steps)


def test_the_best_of_a_search_is_found_within_its_bounds(searched):
    _, found, _ = searched
    assert found.recommended.shares == pytest.approx(BEST, abs=0.06)
    assert found.recommended.shares["mcqa"] <= 0.4
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["version"] == 1


def test_the_recipe_of_a_run_writes_out_what_no_option_of_a_group_has(searched):
    of, found, _ = searched
    text = recipe_text(of, found)
    # The run left out a benchmark that benchmarks=mini has, so its section stands by itself.
    assert "override /benchmarks: null" in text and "mclm_ko:" not in text.split("noise:")[0]
    assert "override /model: mini" in text and "rows: 4000" in text


def test_a_recipe_is_overwritten_only_where_it_is_the_same_or_by_force(tmp_path):
    path, mine = tmp_path / "best.yaml", WRITTEN + " runs`\n"
    check_free(path, mine, False)
    path.write_text(mine)
    check_free(path, None, False)  # of a fit: what comes of it is not known yet
    check_free(path, mine, False)
    check_free(path, "other", True)
    for text in ("other", None):
        with pytest.raises(OutputError, match="--force"):
            check_free(path, text, False)
        path.write_text("study: {}")
    with pytest.raises(OutputError, match="is a folder"):
        check_free(tmp_path, mine, True)


def test_shares_are_rounded_within_the_bounds_and_sum_to_one():
    space = bounded_space({"a": 0.5, "b": 0.3, "c": 0.2}, {"a": (0.33333, 0.6), "b": (0.0, 0.12345)})
    for shares in space.draw(50, np.random.default_rng(0)):
        rounded = _rounded(shares, space)
        assert rounded.sum() == pytest.approx(1, abs=1e-12)
        assert (rounded >= space.low).all() and (rounded <= space.high).all()
        assert np.abs(rounded - shares).max() < 3e-4


# Settings beside the mixture


def test_what_varies_beside_the_mixture_is_seen_and_may_be_recommended(tmp_path):
    lr = "study.search.trainer.learning_rate"
    run = write_search(
        tmp_path / "run", f"{lr}.low=0.0001", f"{lr}.high=0.01", f"{lr}.log=true", "study.search.size=[50,200]",
        proposals=6, trainer=lambda number: {"learning_rate": 10.0 ** (-4 + number % 3)}, sizes=(50, 200),
    )  # fmt: skip
    of, _ = trained(run)
    assert list(of.domain.trainer) == ["learning_rate"] and of.domain.size == (50, 200)
    others = of.features(of.shares, [one.settings for one in of.mixtures]).others
    by_name = {one.name: row.tolist() for one, row in zip(of.mixtures, others, strict=True)}
    assert by_name["p000"] == pytest.approx([0, 0]) and by_name["p005"] == pytest.approx([1, 1])
    assert len(of.options) > 4  # any that was measured


def test_what_no_search_varied_stays_as_the_recipe_has_it(tmp_path):
    run = write_search(
        tmp_path / "run", proposals=6, sizes=(100, 300), trainer=lambda number: {"epochs": 3 + number % 2}
    )
    of, _ = trained(run)
    assert set(of.mixtures[0].settings) == {"size", "epochs"}
    assert [dict(one) for one in of.options] == [{"size": 100, "epochs": 3}]
    assert of.domain.whole == {"epochs"}


# What is refused


def test_too_few_mixtures_are_one_clear_error(tmp_path):
    path = write_csv(tmp_path / "few.csv", count=3)
    with pytest.raises(RequestError, match=r"few.csv has 3 distinct mixtures .* at least 4"):
        trained(path, where="model=small")


def test_a_score_that_is_no_number_is_one_clear_error(tmp_path):
    run = write_search(tmp_path / "run", proposals=4)
    record = trials(run, "p001")[0] / "record.json"
    record.write_text(record.read_text().replace('"accuracy,none": 0.5\n', '"accuracy,none": NaN\n'))
    with pytest.raises(FindingsError, match=r"p001, seed 0\): benchmark daily scored nan"):
        trained(run)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"bounds": ["math=0.9:0.1"]}, "--bounds math is 0.9:0.1"),
        ({"bounds": ["math=low:0.1"]}, "must be of the form"),
        ({"bounds": ["maths=0:0.1"]}, "--bounds names maths: it must be of math, chat, code"),
        ({"bounds": ["math=0.6:1", "chat=0.6:1"]}, "--bounds: the lowest shares sum to"),
        ({"weights": "both=0"}, "--weights both is 0"),
        ({"weights": "bth=1"}, "--weights names bth: it must be of both, loss"),
        ({"mixture": ["math=0.5,chat=0.4"]}, "sum to 0.9"),
        ({"mixture": ["math=1.5,chat=-0.5"]}, "chat has -0.5"),
        ({"mixture": ["math=0.5,cats=0.5"]}, "--mixture names cats"),
        ({"mixture": ["math=nan,chat=1"]}, "math has nan"),
        ({"lower": ["los"]}, "--lower is los: it must be all, or of both, loss"),
        ({"where": "model"}, "--where is model: it must be COLUMN=VALUE"),
        ({"where": "model=huge"}, "has small, large there"),
        ({"where": "size=1"}, "no column size"),
        ({"shares": "weight_"}, "no column named weight_"),
        ({"step": 1.5}, "--step is 1.5"),
        ({"folds": 1}, "--folds is 1"),
    ],
)
def test_a_request_that_cannot_be_met_names_the_value_and_what_is_allowed(tmp_path, options, told):
    path = write_csv(tmp_path / "runs.csv", count=6)
    with pytest.raises(ComposerError) as error:
        trained(path, **{"where": "model=small", **options})
    assert told in str(error.value) and error.value.exit_code == 2


def test_all_problems_of_a_request_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        trained(tmp_path, step=0, folds=0, weights="a", bounds=["b"], mixture=["c"])
    assert len(error.value.problems) == 5


# The published runs


def test_the_published_runs_are_predicted(tmp_path):
    path = Path(os.environ.get("COMPOSER_DATA", "../shared/data")) / ADMIRE
    if not path.is_file():
        pytest.skip(f"the published runs are not there: set COMPOSER_DATA to the folder that holds {ADMIRE}")
    # One column of scores, the mean of the benchmarks of unseen tasks too.
    of, asked = trained(path, where="model=Qwen2.5-7B", scores="metric_avg_id+", folds=2)
    assert (of.benchmarks, len(of.mixtures), len(of.categories)) == (("ood",), 76, 19)
    found = fit(of, asked)
    assert found.held["ood"].rank > 0.5
    assert all(low <= found.recommended.shares[name] <= high for name, (low, high) in found.bounds.items())
    assert found.recommended.predicted["ood"].value >= found.best.predicted["ood"].value
