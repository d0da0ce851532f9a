from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from composer.errors import ComposerError
from composer.findings import swarm as judged
from composer.findings.published import Swarm, read_swarms
from composer.findings.swarm import best_over_median, category_effects, noise_of_runs, over_median

Array = NDArray[np.float64]
ADMIRE = Path("swarms/admire_ift_runs/admire_ift_runs.csv")


def runs(
    coefficients: tuple[float, ...] = (0.0, 0.0, 0.0), noise: float = 0.01, n: int = 40, draw: int = 0, scores: int = 1
) -> Swarm:
    draws = np.random.default_rng(draw)
    shares = draws.dirichlet(np.full(len(coefficients), 2.0), n)
    score = (shares @ np.array(coefficients))[:, None] + 0.5 + draws.normal(0, noise, (n, scores))
    names = tuple("abcdefgh"[: len(coefficients)])
    return Swarm("model", names, tuple(f"task{place}" for place in range(scores)), shares, score)


HEADER = "model,ratio_math,ratio_chat,metric_gsm,metric_if,minutes"
ROWS = ["small,0.5,0.4988,0.3,0.5,9", "small,0.25,0.75,0.2,0.6,9", "large,1,0,0.4,0.1,9"]


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


# Reading


def test_shares_and_scores_are_read_by_prefix_and_group(tmp_path: Path) -> None:
    swarms = read_swarms(written(tmp_path, *ROWS), "ratio_", "metric_", "model")
    assert list(swarms) == ["small", "large"]
    small = swarms["small"]
    assert (small.categories, small.benchmarks) == (("math", "chat"), ("gsm", "if"))
    assert small.shares.sum(axis=1) == pytest.approx(1, abs=1e-15)
    assert small.shares[0, 0] == pytest.approx(0.5 / 0.9988)
    assert small.score("if").tolist() == [0.5, 0.6]
    assert small.with_mean("both", ["gsm", "if"]).score("both") == pytest.approx([0.4, 0.4])
    assert list(read_swarms(written(tmp_path, *ROWS), "ratio_", "metric_")) == ["runs"]


@pytest.mark.parametrize(
    ("rows", "prefix", "group", "message"),
    [
        (["small,0.5,0.4,0.3,0.5,9"], "ratio_", "model", "run 1: shares from 0.4 that sum to 0.9"),
        ([ROWS[0], "small,-0.5,1.5,0.3,0.5,9"], "ratio_", "model", "run 2: shares from -0.5"),
        (["small,0.5,0.5,nan,0.5,9"], "ratio_", "model", "run 1: metric_gsm is 'nan'"),
        (["small,0.5,0.5,,0.5,9"], "ratio_", "model", "run 1: metric_gsm is ''"),
        (["small,0.5,0.5"], "ratio_", "model", "run 1: metric_gsm is None"),
        ([], "ratio_", "model", "no run"),
        (ROWS, "weight_", "model", "no column named weight_"),
        (ROWS, "ratio_", "size", "no column size"),
    ],
)
def test_a_file_that_holds_no_runs_is_refused(
    tmp_path: Path, rows: list[str], prefix: str, group: str, message: str
) -> None:
    with pytest.raises(ComposerError, match=message):
        read_swarms(written(tmp_path, *rows), prefix, "metric_", group)


def test_an_absent_file_and_an_unknown_benchmark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposerError, match="is not a file"):
        read_swarms(tmp_path / "none.csv", "ratio_", "metric_")
    with pytest.raises(ComposerError, match="no score other: they have task0"):
        best_over_median(runs(), "other")
    with pytest.raises(ComposerError, match="no score other"):
        category_effects(runs(), ["other"])


# Noise


def test_the_noise_of_a_run_is_what_the_law_leaves() -> None:
    swarm = runs((0.1, 0.0, -0.1), noise=0.01, n=200)
    (found,) = noise_of_runs(swarm)
    assert found.df == 197 and found.runs == 200
    assert found.noise_sd == pytest.approx(0.01, rel=0.15)
    assert found.spread_sd == pytest.approx(swarm.score("task0").std(ddof=1))
    assert found.p_law is not None and found.p_law < 1e-6
    kept, score = [], swarm.score("task0")
    for run in range(200):
        others = np.arange(200) != run
        law = np.linalg.lstsq(swarm.shares[others], score[others], rcond=None)[0]
        kept.append((score[run] - swarm.shares[run] @ law, score[run] - score[others].mean()))
    missed, plain = np.square(kept).sum(axis=0)
    assert found.explained == pytest.approx(1 - missed / plain)


def test_without_an_effect_the_law_predicts_nothing() -> None:
    found = [noise_of_runs(runs(draw=draw))[0] for draw in range(100)]
    assert np.mean([one.p_law is not None and one.p_law < 0.05 for one in found]) < 0.05 + 3 * 0.0218
    assert np.mean([one.explained for one in found]) < 0


# Categories


def test_the_effect_is_the_change_along_the_categorys_own_direction() -> None:
    swarm = runs((0.3, 0.0, 0.0), noise=1e-6)
    effect = next(one for one in category_effects(swarm) if one.category == "a")
    # The others give way in proportion and score alike, so that the score moves by the coefficient times the share.
    assert effect.effect == pytest.approx(0.3 * (effect.to_share - effect.from_share), rel=1e-3)
    assert (effect.from_share, effect.to_share) == pytest.approx(tuple(np.quantile(swarm.shares[:, 0], [0.1, 0.9])))
    assert effect.verdict == "raises"
    verdicts = {one.category: one.verdict for one in category_effects(swarm)}
    assert verdicts["b"] == verdicts["c"] == "lowers"


def test_effects_cover_as_often_as_they_say_and_families_rarely_err() -> None:
    studies, covered, families = 150, [], 0
    for draw in range(studies):
        found = category_effects(runs((0.0,) * 5, draw=draw, scores=3))
        covered += [one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in found]
        families += any(one.verdict != "cannot tell" for one in found)
    assert abs(np.mean(covered) - 0.95) < 0.02
    assert families / studies < 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5


@given(st.permutations(range(3)))
def test_the_order_of_the_categories_does_not_matter(order: list[int]) -> None:
    plain = runs((0.1, 0.0, -0.05))
    turned = replace(plain, shares=plain.shares[:, order], categories=tuple(plain.categories[place] for place in order))
    there = {one.category: one.effect for one in category_effects(plain)}
    back = {one.category: one.effect for one in category_effects(turned)}
    assert back == pytest.approx(there)


def test_a_share_that_never_moves_alone_has_no_effect_to_tell() -> None:
    swarm = runs((0.1, 0.0, -0.1))
    first = swarm.shares[:, 0]
    constant = np.column_stack([0.9 * first, 0.9 * (1 - first), np.full(len(first), 0.1)])
    found = {one.category: one for one in category_effects(replace(swarm, shares=constant))}
    assert (found["c"].effect, found["c"].reason, found["c"].verdict) == (None, judged.HELD, "cannot tell")
    tied = np.column_stack([first, 0.3 * (1 - first), 0.7 * (1 - first)])
    found = {one.category: one for one in category_effects(replace(swarm, shares=tied))}
    assert found["a"].verdict == "raises"
    assert {found[name].reason for name in "bc"} == {judged.HELD}


# The best and the median


def test_the_best_of_equal_mixtures_leads_by_luck_and_that_is_said() -> None:
    found = [best_over_median(runs((0.0,) * 6, n=60, draw=draw), "task0") for draw in range(150)]
    leads = np.array([(one.lead, one.noise_lead, one.corrected and one.corrected.value, one.p_noise) for one in found])
    lead, by_noise, corrected, p = leads.astype(float).T
    assert lead.mean() == pytest.approx(by_noise.mean(), rel=0.05)
    assert lead.mean() > 0.02  # more than twice the noise of a run
    assert abs(corrected.mean()) < 3 * corrected.std() / len(found) ** 0.5 + 0.0005
    tolerated = 0.05 + 3 * (0.05 * 0.95 / len(found)) ** 0.5
    assert (p < 0.05).mean() < tolerated
    assert np.mean([one.verdict != "cannot tell" for one in found]) < tolerated


def test_a_lead_that_the_shares_explain_is_told_without_its_luck() -> None:
    truth = (0.2, 0.0, -0.2)
    inside = 0
    for draw in range(100):
        swarm = runs(truth, noise=0.02, draw=draw)
        found = best_over_median(swarm, "task0")
        expected = swarm.shares @ np.array(truth)
        assert found.verdict == "higher" and found.corrected is not None
        assert found.corrected.low is not None and found.corrected.high is not None
        inside += found.corrected.low <= expected[found.run] - np.median(expected) <= found.corrected.high
    assert inside >= 95 - 3 * 4.75**0.5


def test_mixtures_over_the_median_come_best_first_with_both_judgements() -> None:
    swarm = runs((0.2, 0.0, -0.2), noise=0.02)
    found = over_median(swarm, "task0")
    scores = swarm.score("task0")
    assert [one.score for one in found] == sorted(scores, reverse=True)
    assert sorted(one.run for one in found) == list(range(40))
    for one in found:
        assert one.measured.value == pytest.approx(scores[one.run] - np.median(scores))
        assert one.fitted is not None and one.fitted.high is not None and one.fitted.low is not None
        assert one.measured.high is not None and one.measured.low is not None
        assert one.fitted.high - one.fitted.low < one.measured.high - one.measured.low
    told = [sum(one.verdict != "cannot tell" for one in side) for side in zip(*judgements(found), strict=True)]
    assert told[1] > told[0] > 0
    assert found[0].measured.verdict == "higher" and found[-1].measured.verdict == "lower"


def judgements(found: tuple[judged.OverMedian, ...]) -> list[tuple[judged.Difference, judged.Difference]]:
    return [(one.measured, one.fitted) for one in found if one.fitted is not None]


def test_equal_mixtures_are_rarely_told_apart() -> None:
    measured = fitted = 0
    for draw in range(150):
        found = judgements(over_median(runs((0.0,) * 5, draw=draw), "task0"))
        measured += any(one.verdict != "cannot tell" for one, _ in found)
        fitted += any(one.verdict != "cannot tell" for _, one in found)
    tolerated = 150 * (0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5)
    assert measured < tolerated and fitted < tolerated


# What cannot be told


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_more_runs_than_categories_cannot_tell(n: int) -> None:
    swarm = runs((0.1, 0.0, -0.1), n=n)
    reason = judged.ONE_RUN if n == 1 else judged.FEW_RUNS
    assert noise_of_runs(swarm)[0].reason == reason
    assert {(one.effect, one.verdict, one.reason) for one in category_effects(swarm)} == {(None, "cannot tell", reason)}
    assert best_over_median(swarm, "task0").reason == reason
    assert all(one.fitted is None and one.measured.p is None for one in over_median(swarm, "task0"))


def test_one_run_to_spare_is_lost_when_the_best_is_left_out() -> None:
    found = best_over_median(runs((0.1, 0.0, -0.1), n=4), "task0")
    assert (found.corrected, found.verdict, found.reason) == (None, "cannot tell", judged.FEW_RUNS)


def test_equal_scores_cannot_tell() -> None:
    swarm = runs()
    flat = replace(swarm, scores=np.full_like(swarm.scores, 0.3))
    assert noise_of_runs(flat)[0].reason == judged.EXACT
    assert best_over_median(flat, "task0").reason == judged.EXACT
    assert {one.verdict for one in category_effects(flat)} == {"cannot tell"}


def test_the_same_runs_give_the_same_findings() -> None:
    def found() -> tuple[object, ...]:
        swarm = runs((0.1, 0.0, -0.1), scores=2)
        return (
            noise_of_runs(swarm),
            category_effects(swarm),
            over_median(swarm, "task1"),
            best_over_median(swarm, "task1"),
        )

    assert found() == found()


# The published runs


@pytest.fixture(scope="module")
def admire() -> dict[str, Swarm]:
    path = Path(os.environ.get("COMPOSER_DATA", "")) / ADMIRE
    if not path.is_file():
        pytest.skip(f"the published runs are not there: set COMPOSER_DATA to the folder that holds {ADMIRE}")
    return read_swarms(path, "ratio_", "metric_", "model")


def test_the_published_runs_are_read(admire: dict[str, Swarm]) -> None:
    assert {name: len(swarm.shares) for name, swarm in admire.items()} == {
        "Qwen2.5-0.5B": 256,
        "Qwen2.5-3B": 128,
        "Qwen2.5-7B": 76,
    }
    assert all(len(swarm.categories) == 19 and len(swarm.benchmarks) == 20 for swarm in admire.values())


def test_the_published_lead_at_7b_is_within_noise(admire: dict[str, Swarm]) -> None:
    found = best_over_median(admire["Qwen2.5-7B"], "avg_id+ood")
    assert found.lead == pytest.approx(0.0058, abs=5e-5)
    assert found.noise_lead_high is not None and found.lead < found.noise_lead_high
    assert found.corrected is not None and found.corrected.value is not None
    assert found.corrected.value < found.lead and found.verdict == "cannot tell"


def test_instruction_following_data_raise_instruction_following_at_every_size(admire: dict[str, Swarm]) -> None:
    for swarm in admire.values():
        told = {(one.category, one.benchmark): one.verdict for one in category_effects(swarm, swarm.benchmarks[:17])}
        assert told["personahub_ifdata_manual_seed_v3_29980", "ifeval::tulu"] == "raises"
        assert list(told.values()).count("cannot tell") > len(told) / 2
