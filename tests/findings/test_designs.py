from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from composer.findings import Results, find
from composer.findings.dose import NO_TREND
from composer.findings.statistics import ONE_SEED
from findings.run_folder import ACCURACY, ARMS, BENCHMARKS, write_run


def ladder(finding: str, doses: dict[str, int], category: str | None = "mcqa", **more: Any) -> dict[str, Any]:
    points = [{"arm": arm, "category": category, "dose": dose, "size": 0, "levels": {}} for arm, dose in doses.items()]
    return {"label": "", "findings": [finding], "points": points, "effects": [], "config": {"restore": 0.95}, **more}


DOSES = ladder("dose", {"run2": 0, "run4": 60, "run3": 72, "run1": 900})
SIZES = ladder("scaling", {"run3": 800, "run1": 1200, "run2": 2600}, "openthought")
FACTORIAL = {
    **ladder("effects", {}),
    "points": [{"arm": arm, "category": None, "dose": None, "size": 0, "levels": {}} for arm in ARMS],
    "effects": [
        {"name": "mcqa", "factors": ["mcqa"], "weights": {"run1": 0.5, "run3": 0.5, "run2": -0.5, "run4": -0.5}}
    ],
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Results:
    designs = {"dose": DOSES, "sizes": SIZES, "both": FACTORIAL}
    return find(write_run(tmp_path_factory.mktemp("designs") / "run", seeds=6, designs=designs))


def test_every_design_speaks_of_every_measure(found: Results) -> None:
    wanted = {(name, kind) for name in BENCHMARKS for kind in ("accuracy", "smooth")}
    for findings in (found.doses, found.curves, found.effects):
        assert {(one.benchmark, one.kind) for one in findings} == wanted
    assert {one.category for one in found.doses} == {"mcqa"}
    assert {one.category for one in found.curves} == {"openthought"}


def test_points_are_the_arms_scores_at_their_doses(found: Results) -> None:
    for one in found.doses:
        for point in one.response.points:
            arm = next(p["arm"] for p in DOSES["points"] if p["dose"] == point.dose)
            assert point.values == pytest.approx(found.score(arm, one.benchmark, one.kind).values)
    for curve in found.curves:
        assert [point.size for point in curve.curve.points] == [800, 1200, 2600]


def test_a_threshold_is_given_only_where_the_corrected_test_shows_that_the_dose_matters(found: Results) -> None:
    told = [one for one in found.doses if one.response.threshold is not None]
    assert told, "the ladder restores haerae: a test that sees nothing is none"
    for one in found.doses:
        assert one.p_corrected is not None and one.response.p is not None
        assert one.p_corrected >= one.response.p
        if one.response.threshold is not None:
            assert one.p_corrected < 0.05
        if one.p_corrected >= 0.05:
            assert (one.response.curve, one.response.reason) == ((), NO_TREND)


def test_an_effect_is_the_weighted_sum_of_the_arms(found: Results) -> None:
    for column, benchmark in enumerate(BENCHMARKS):
        effect = next(one for one in found.effects if (one.benchmark, one.kind) == (benchmark, "accuracy"))
        means = {arm: found.score(arm, benchmark, "accuracy").mean or 0 for arm in ARMS}
        assert effect.gain == pytest.approx((means["run1"] + means["run3"] - means["run2"] - means["run4"]) / 2)
        truth = (ACCURACY[0, column] + ACCURACY[2, column] - ACCURACY[1, column] - ACCURACY[3, column]) / 2
        assert effect.gain == pytest.approx(truth, abs=0.05)
        assert effect.low is not None and effect.high is not None and effect.low < effect.gain < effect.high


def test_arms_of_a_ladder_are_no_hypotheses_unless_the_recipe_names_them(tmp_path: Path) -> None:
    run = write_run(tmp_path, designs={"dose": DOSES}, comparisons={})
    from composer.artifacts import read_json, write_json

    assert [family.size for family in find(run).families] == [12, 12]
    plan = read_json(run / "plan.json")
    for arm in ("run3", "run4"):
        plan["arms"][arm]["declared"] = False
    write_json(run / "plan.json", plan)
    results = find(run)
    assert [contrast[1] for contrast in results.contrasts()] == ["run2"]
    assert [family.size for family in results.families] == [4, 4]


def test_one_seed_and_arms_that_never_finished_leave_no_certainty(tmp_path: Path) -> None:
    designs = {"dose": DOSES, "sizes": SIZES, "both": FACTORIAL}
    one = find(write_run(tmp_path / "one", seeds=1, designs=designs))
    assert {finding.response.reason for finding in one.doses} == {ONE_SEED}
    assert {finding.curve.verdict for finding in one.curves} == {"cannot tell"}
    assert {finding.verdict for finding in one.effects} == {"cannot tell"}
    missing = [(arm, seed) for arm in ("run2", "run4", "run1") for seed in range(3)]
    gone = find(write_run(tmp_path / "gone", seeds=3, designs=designs, missing=missing))
    assert all(len(finding.response.points) == 1 and finding.response.threshold is None for finding in gone.doses)
    assert {finding.gain for finding in gone.effects} == {None}
    everything = [(arm, seed) for arm in ARMS for seed in range(3)]
    nothing = find(write_run(tmp_path / "nothing", seeds=3, designs=designs, missing=everything))
    assert (nothing.doses, nothing.curves) == ((), ())


def test_designs_read_back_as_they_were_found(tmp_path: Path) -> None:
    designs = {"dose": DOSES, "sizes": SIZES, "both": FACTORIAL}
    run = write_run(tmp_path / "run", designs=designs)
    assert find(run) == Results.read(run)
    first = (run / "results.json").read_bytes()
    find(run)
    assert (run / "results.json").read_bytes() == first
