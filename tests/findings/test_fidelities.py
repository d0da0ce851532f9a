from __future__ import annotations

from pathlib import Path

from composer.artifacts import read_json, write_json
from composer.findings import Results, find
from composer.findings.fidelity import signal_to_noise
from findings.run_folder import BENCHMARKS, item_table, write_run


def test_every_measure_has_its_signal_over_the_runs_arms(run: Path) -> None:
    results = find(run)
    assert [(one.benchmark, one.kind) for one in results.signals] == [
        (name, kind) for name in BENCHMARKS for kind in ("accuracy", "smooth")
    ]
    arms = {}
    for arm in ("run1", "run2", "run3", "run4"):
        tables = [item_table(arm, seed, 150).to_pandas().sort_values("doc_hash") for seed in range(4)]
        arms[arm] = {
            seed: table[(table["task"] == "haerae") & (table["filter"] == "answer")]["value"].to_numpy()
            for seed, table in enumerate(tables)
        }
    assert results.signal("haerae", "accuracy") == signal_to_noise("haerae", arms)


def test_arms_that_are_the_same_trials_count_once(run: Path) -> None:
    plan = read_json(run / "plan.json")
    plan["trials"] = [one for one in plan["trials"] if one["arm"] != "run4"]
    plan["trials"] += [{**one, "arm": "run4"} for one in plan["trials"] if one["arm"] == "run1"]
    write_json(run / "plan.json", plan)
    assert {one.signal.arms for one in find(run).signals} == {3}


def test_a_reference_run_is_compared_by_the_order_of_its_arms(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "large", items=400, seeds=2)
    find(other)
    plan = read_json(run / "plan.json")
    plan["findings"]["reference"] = str(other)
    write_json(run / "plan.json", plan)
    results = find(run)
    assert results.reference == str(other)
    assert {one.agreement.arms for one in results.agreements} == {4}
    same = next(one.agreement for one in results.agreements if (one.benchmark, one.kind) == ("mclm_ko", "accuracy"))
    assert same.spearman is not None and same.spearman > 0.5
    assert results == Results.read(run)
