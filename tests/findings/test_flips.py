from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from composer.findings import find
from composer.findings.flips import flips
from findings.run_folder import write_run


def test_flips_are_the_items_whose_values_differ(run: Path) -> None:
    results = find(run)
    benchmark = results.benchmarks[0]
    found = flips(run, results, "run1", "run2", benchmark)
    values = {}
    for trial in results.trials:
        items = pq.read_table(run / "trials" / trial.key / "items.parquet").to_pylist()
        of = {i["doc_id"]: i["value"] for i in items if (i["task"], i["filter"]) == (benchmark.name, "answer")}
        values[trial.arm, trial.seed] = of
    net = {doc: sum(values["run1", seed][doc] - values["run2", seed][doc] for seed in range(4)) for doc in range(150)}
    assert found.seeds == 4
    assert {flip.doc_id for flip in found.gained} == {doc for doc, flipped in net.items() if flipped > 0}
    assert {flip.doc_id for flip in found.lost} == {doc for doc, flipped in net.items() if flipped < 0}
    assert [flip.gained - flip.lost for flip in found.gained] == sorted(
        (flip.gained - flip.lost for flip in found.gained), reverse=True
    )
    first = found.gained[0]
    assert (first.arm, first.against) == ("정답은 가", "정답은 나")
    assert values["run1", first.seed][first.doc_id] > values["run2", first.seed][first.doc_id]
    assert str(first.doc_id) in first.prompt


def test_an_arm_against_itself_and_arms_without_a_common_seed_have_no_flips(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=2, missing=[("run1", 0), ("run2", 1)])
    results = find(run)
    assert flips(run, results, "run3", "run3", results.benchmarks[0]).gained == ()
    assert flips(run, results, "run1", "run2", results.benchmarks[0]).seeds == 0
