from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats

from composer.artifacts import read_json, write_json
from composer.errors import FindingsError, RequestError
from composer.findings import Results, find
from composer.findings.gains import SAME_TRIALS
from composer.findings.statistics import NO_SEED, NO_VARIANCE, ONE_SEED
from composer.report import write
from findings.run_folder import ACCURACY, ARMS, BENCHMARKS, item_table, write_run


def test_scores_are_the_means_of_the_items(run: Path) -> None:
    results = find(run)
    score = results.score("run2", "mclm_ko", "accuracy")
    expected = []
    for seed in range(4):
        items = item_table("run2", seed, 150).to_pandas()
        items = items[(items["task"] == "mclm_ko") & (items["metric"] == "exact_match")]
        expected.append(items["value"].mean())
    assert score.seeds == (0, 1, 2, 3)
    assert score.values == pytest.approx(expected)
    assert score.mean == pytest.approx(sum(expected) / 4)
    assert score.sd == pytest.approx(stats.tstd(expected))


def test_gains_are_paired_t_tests_of_the_scores(run: Path) -> None:
    results = find(run)
    for gain in results.gains:
        arm, against = (results.score(side, gain.benchmark, gain.kind) for side in (gain.arm, gain.against))
        theirs = stats.ttest_rel(arm.values, against.values)
        interval = theirs.confidence_interval(0.95)
        assert (gain.arm_mean, gain.against_mean) == (pytest.approx(arm.mean), pytest.approx(against.mean))
        assert gain.p == pytest.approx(theirs.pvalue)
        assert (gain.low, gain.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_what_the_arms_were_drawn_with_is_found(tmp_path: Path) -> None:
    results = find(write_run(tmp_path, seeds=6))
    for place, arm in enumerate(list(ARMS)[1:], 1):
        for column, benchmark in enumerate(BENCHMARKS):
            gain = results.gain((None, arm, "run1"), benchmark, "accuracy")
            truth = ACCURACY[place, column] - ACCURACY[0, column]
            assert gain.gain == pytest.approx(truth, abs=0.05)
    mcqa_left_out = results.gain((None, "run2", "run1"), "kmmlu_redux", "accuracy")
    assert mcqa_left_out.verdict == "worse"
    maths = results.gain((None, "run2", "run1"), "mclm_ko", "accuracy")
    assert maths.verdict == "better"
    # Fewer bits per byte are better, so this gain below 0 is an improvement.
    bits = results.gain((None, "run2", "run1"), "mclm_ko", "smooth")
    assert bits.gain is not None and bits.gain < 0
    assert bits.verdict == "better"


def test_every_contrast_is_there_and_holm_runs_over_its_own_family(run: Path) -> None:
    results = find(run)
    assert results.contrasts() == [
        (None, "run2", "run1"),
        (None, "run3", "run1"),
        (None, "run4", "run1"),
        ("mcqa_restores", "run3", "run2"),
        ("openthought_for_daily", "run4", "run3"),
    ]
    assert [(family.kind, family.size, family.tested) for family in results.families] == [
        ("accuracy", 20, 20),
        ("smooth", 20, 20),
    ]
    for kind in ("accuracy", "smooth"):
        gains = sorted((g for g in results.gains if g.kind == kind), key=lambda gain: gain.p or 0)
        assert gains[0].p_corrected == pytest.approx(20 * (gains[0].p or 0))


def test_a_comparison_that_repeats_a_gain_is_one_hypothesis(tmp_path: Path) -> None:
    again = {"again": {"arm": "run2", "against": "run1"}, "reversed": {"arm": "run1", "against": "run2"}}
    results = find(write_run(tmp_path, arms=("run1", "run2"), comparisons=again, smooth=False))
    assert [family.size for family in results.families] == [4]
    first = results.gain((None, "run2", "run1"), "haerae", "accuracy")
    assert results.gain(("again", "run2", "run1"), "haerae", "accuracy").p_corrected == first.p_corrected
    assert results.gain(("reversed", "run1", "run2"), "haerae", "accuracy").p_corrected == first.p_corrected


def test_two_arms_that_are_the_same_trials_have_no_interval_and_no_hypothesis(run: Path) -> None:
    plan = read_json(run / "plan.json")
    plan["trials"] = [{**one, "key": one["key"]} for one in plan["trials"] if one["arm"] != "run4"]
    plan["trials"] += [{**one, "arm": "run4"} for one in plan["trials"] if one["arm"] == "run1"]
    write_json(run / "plan.json", plan)
    results = find(run)
    gain = results.gain((None, "run4", "run1"), "haerae", "accuracy")
    assert (gain.gain, gain.low, gain.p, gain.p_corrected, gain.reason) == (0.0, None, None, None, SAME_TRIALS)
    # run4 against run3 is now run3 against run1 turned round, and run4 against run1 is nothing to test.
    assert [family.size for family in results.families] == [12, 12]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    find(write_run(tmp_path / "one"))
    find(write_run(tmp_path / "two"))
    first = (tmp_path / "one" / "results.json").read_bytes()
    assert first == (tmp_path / "two" / "results.json").read_bytes()
    find(tmp_path / "one")
    assert first == (tmp_path / "one" / "results.json").read_bytes()


def test_a_slower_machine_changes_only_the_cost(tmp_path: Path) -> None:
    fast, slow = (find(write_run(tmp_path / str(scale), seconds=scale)).to_json() for scale in (1.0, 3.0))
    changed = [name for name in fast if fast[name] != slow[name]]
    assert changed == ["cost"]


def test_the_categories_of_every_arm_are_those_of_the_plan(run: Path) -> None:
    arm = find(run).arms[1]
    named = [(category.name, category.rows, category.asked) for category in arm.categories]
    assert named == [("openthought", 2600, 2640), ("mcqa", 0, 0), ("daily", 1000, 1000), ("code", 400, 400)]
    assert sum(category.rows for category in arm.categories) == arm.rows


def test_a_smooth_score_may_have_items_of_its_own(run: Path) -> None:
    for trial in find(run).trials:
        path = run / "trials" / trial.key / "items.parquet"
        items = pq.read_table(path)
        smooth = pc.equal(items["metric"], "bits_per_byte")
        few = pc.less(items["doc_id"], 40)
        pq.write_table(items.filter(pc.or_(pc.invert(smooth), few)), path)
    results = find(run)
    contrast = results.contrasts()[0]
    assert results.gain(contrast, "haerae", "accuracy").items == 150
    assert results.gain(contrast, "haerae", "smooth").items == 40


def test_the_file_reads_back_as_what_was_found(run: Path) -> None:
    assert find(run) == Results.read(run)


def test_failed_and_missing_trials_are_shown_and_leave_the_other_seeds(tmp_path: Path) -> None:
    run = write_run(tmp_path, failed=[("run4", 3)], missing=[("run4", 0), ("run1", 1)])
    results = find(run)
    by_status = {
        status: [(t.arm, t.seed) for t in results.trials if t.status == status] for status in ("failed", "missing")
    }
    assert by_status == {"failed": [("run4", 3)], "missing": [("run1", 1), ("run4", 0)]}
    assert next(t.error for t in results.trials if t.status == "failed") == "CUDA out of memory <at step 12>"
    gain = results.gain((None, "run4", "run1"), "haerae", "accuracy")
    assert (gain.seeds, gain.reason) == ((2,), ONE_SEED)
    assert results.score("run4", "haerae", "accuracy").seeds == (1, 2)


def test_an_arm_without_a_finished_trial_has_no_gain_but_counts_in_the_family(tmp_path: Path) -> None:
    results = find(write_run(tmp_path, failed=[("run4", seed) for seed in range(4)]))
    gain = results.gain((None, "run4", "run1"), "haerae", "accuracy")
    assert (gain.gain, gain.reason) == (None, NO_SEED)
    assert results.score("run4", "haerae", "accuracy").mean is None
    assert [(family.size, family.tested) for family in results.families] == [(20, 12), (20, 12)]
    assert results.cost[-1].total_seconds is None


def test_a_run_with_nothing_finished_is_still_a_result(tmp_path: Path) -> None:
    nothing = [(arm, seed) for arm in ARMS for seed in range(4)]
    results = find(write_run(tmp_path, missing=nothing))
    assert results.count("missing") == 16
    assert {gain.gain for gain in results.gains} == {None}
    assert results.benchmarks[0].items is None


def test_without_a_baseline_only_the_comparisons_have_gains(tmp_path: Path) -> None:
    results = find(write_run(tmp_path, baseline=None))
    assert [contrast[0] for contrast in results.contrasts()] == ["mcqa_restores", "openthought_for_daily"]
    assert {cost.relative for cost in results.cost} == {None}


def test_cost_is_paired_with_the_baseline_by_seed(run: Path) -> None:
    results = find(run)
    cost = results.cost[list(ARMS).index("run2")]
    assert cost.relative is not None
    assert cost.relative.rows == pytest.approx(1.0)
    assert results.cost[0].relative is not None
    assert results.cost[0].relative.train_seconds == pytest.approx(1.0)
    seconds = {
        arm: [
            read_json(run / "trials" / t.key / "record.json")["training"]["seconds"]
            for t in results.trials
            if t.arm == arm
        ]
        for arm in ("run1", "run2")
    }
    expected = stats.gmean([ours / theirs for ours, theirs in zip(seconds["run2"], seconds["run1"], strict=True)])
    assert cost.relative.train_seconds == pytest.approx(expected)


def test_a_gpu_has_hours_for_each_of_its_processes(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=1)
    assert {one.gpu_hours for one in find(run).cost} == {None}
    for path in (run / "trials").glob("*/record.json"):
        record = read_json(path)
        record["training"] |= {"device": "NVIDIA H100", "processes": 4, "mfu": 0.4}
        record["seconds"]["total"] = 1800.0
        write_json(path, record)
    cost = find(run).cost[0]
    assert (cost.gpu_hours, cost.mfu, cost.useful) == (2.0, 0.4, 0.62)
    assert cost.seconds == {"load": 2.0, "tokenise": 1.0, "train": cost.train_seconds, "evaluate": 8.0}


def test_items_that_do_not_pair_leave_no_results(run: Path) -> None:
    other = find(run).trials[5]
    (run / "results.json").unlink()
    shutil.rmtree(run / "trials" / other.key)
    write_run(run.parent / "longer", items=151)
    shutil.copytree(run.parent / "longer" / "trials" / other.key, run / "trials" / other.key)
    with pytest.raises(FindingsError, match="do not pair"):
        find(run)
    assert not (run / "results.json").exists()


def test_a_benchmark_that_the_items_lack_is_named(run: Path) -> None:
    plan = read_json(run / "plan.json")
    plan["benchmarks"]["haerae"]["accuracy"]["filter"] = "none"
    write_json(run / "plan.json", plan)
    with pytest.raises(
        FindingsError, match="no items for benchmark haerae: task haerae, filter none, metric exact_match"
    ):
        find(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no plan\.json"):
        find(tmp_path)
    with pytest.raises(RequestError, match=r"holds no results\.json"):
        Results.read(tmp_path)
    write_json(tmp_path / "plan.json", {"version": 1})
    with pytest.raises(RequestError, match="has version 1: this composer reads version 2"):
        find(tmp_path)


def test_a_gain_within_the_margin_is_equivalent_and_nothing_is_said_without_one(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=6, findings={"margin": 0.06})
    results = find(run)
    alike = results.gain(("openthought_for_daily", "run4", "run3"), "kmmlu_redux", "accuracy")
    assert alike.p_equivalent is not None and alike.p_equivalent_corrected is not None
    assert alike.p_equivalent <= alike.p_equivalent_corrected < 0.05
    assert alike.verdict == "equivalent"
    lost = results.gain((None, "run2", "run1"), "haerae", "accuracy")
    assert (lost.verdict, lost.p_equivalent_corrected) == ("worse", pytest.approx(1.0))
    # The smooth score has no margin of its own here.
    assert {gain.p_equivalent for gain in results.gains if gain.kind == "smooth"} == {None}
    undeclared = find(write_run(tmp_path / "undeclared", seeds=6))
    assert {gain.verdict for gain in undeclared.gains} <= {"better", "worse", "cannot tell"}


def test_random_items_widen_the_intervals_and_change_the_estimand(tmp_path: Path) -> None:
    fixed = find(write_run(tmp_path / "fixed"))
    random = find(write_run(tmp_path / "random", findings={"items": "random"}))
    assert "these items" in fixed.rules.estimand and "items like these" in random.rules.estimand
    widths = [
        (one.high - one.low, other.high - other.low)
        for one, other in zip(fixed.gains, random.gains, strict=True)
        if one.low is not None and one.high is not None and other.low is not None and other.high is not None
    ]
    assert len(widths) == len(fixed.gains)
    assert sum(other for _, other in widths) > sum(one for one, _ in widths)


def test_benjamini_hochberg_is_taken_where_declared(tmp_path: Path) -> None:
    strict = find(write_run(tmp_path / "holm"))
    mild = find(write_run(tmp_path / "bh", findings={"correction": "benjamini_hochberg"}))
    pairs = [(one.p_corrected, other.p_corrected) for one, other in zip(strict.gains, mild.gains, strict=True)]
    assert all(one is not None and other is not None and other <= one for one, other in pairs)
    assert any(one != other for one, other in pairs)


def test_scores_that_are_all_equal_and_a_benchmark_with_one_item_claim_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path, items=1, findings={"margin": 0.05, "items": "random"})
    results = find(run)
    assert {gain.verdict for gain in results.gains if gain.kind == "accuracy"} == {"cannot tell"}
    assert {gain.p for gain in results.gains if gain.kind == "accuracy"} == {None}
    for trial in results.trials:
        path = run / "trials" / trial.key / "items.parquet"
        items = pq.read_table(path)
        pq.write_table(
            items.set_column(items.column_names.index("value"), "value", pc.multiply(items["value"], 0.0)), path
        )
    results = find(run)
    assert {(gain.gain, gain.p, gain.verdict) for gain in results.gains} == {(0.0, None, "cannot tell")}
    assert {gain.reason for gain in results.gains} == {NO_VARIANCE}


def test_thinking_that_never_ended_is_told_as_a_share(run: Path) -> None:
    assert {score.unfinished for score in find(run).scores} == {None}
    for trial in find(run).trials:
        path = run / "trials" / trial.key / "items.parquet"
        items = pq.read_table(path).to_pylist()
        cut = [
            {**item, "metric": "unfinished", "value": float(item["doc_id"] < 30)}
            for item in items
            if (item["task"], item["filter"]) == ("haerae", "answer")
        ]
        pq.write_table(pa.Table.from_pylist([*items, *cut]), path)
    results = find(run)
    assert results.score("run1", "haerae", "accuracy").unfinished == pytest.approx(30 / 150)
    assert results.score("run1", "mclm_ko", "accuracy").unfinished is None
    assert "20 % unfinished" in write(run).read_text(encoding="utf-8")


def test_damaged_items_are_named_and_leave_no_results(run: Path) -> None:
    items = sorted(run.glob("trials/*/items.parquet"))[1]
    items.write_bytes(items.read_bytes()[:100])
    with pytest.raises(FindingsError, match=f"{re.escape(str(items))} cannot be read .*run again"):
        find(run)
    assert not (run / "results.json").exists()
