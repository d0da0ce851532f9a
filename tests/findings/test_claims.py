from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from composer.findings import find
from composer.findings.claims import Answer
from findings.run_folder import write_run
from findings.test_designs import DOSES, SIZES

NOTHING: dict[str, Any] = {
    "label": "", "says": "…", "source": "", "design": None, "arm": None, "against": None, "margin": None,
    "dose": None, "restore": 0.95,
}  # fmt: skip


def answer(tmp_path: Path, claim: dict[str, Any], **more: Any) -> Answer:
    designs = {"dose": DOSES, "sizes": SIZES}
    run = write_run(tmp_path, seeds=6, designs=designs, claims={"it": {**NOTHING, **claim}}, **more)
    (told,) = find(run).answers
    return told


@pytest.mark.parametrize(
    ("expect", "benchmark", "verdict"),
    [
        ("worse", "haerae", "confirmed"),
        ("better", "haerae", "contradicted"),
        ("equivalent", "haerae", "contradicted"),
        ("better", "mclm_ko", "confirmed"),
        ("better", "daily_qa", "cannot tell"),
    ],
)
def test_a_settled_gain_confirms_or_contradicts(tmp_path: Path, expect: str, benchmark: str, verdict: str) -> None:
    claim = {"arm": "run2", "benchmarks": [benchmark], "expect": expect, "margin": 0.03}
    told = answer(tmp_path, claim)
    assert (told.verdict, told.against) == (verdict, "run1")
    (evidence,) = told.evidence
    assert evidence.low is not None and evidence.high is not None and evidence.estimate is not None
    assert evidence.low < evidence.estimate < evidence.high


def test_a_margin_of_a_claims_own_is_tested_beside_that_of_the_study(tmp_path: Path) -> None:
    claim = {"arm": "run4", "against": "run3", "benchmarks": ["kmmlu_redux"], "expect": "equivalent"}
    wide = answer(tmp_path / "wide", {**claim, "margin": 0.08}, findings={"margin": 0.001})
    assert (wide.verdict, wide.margin) == ("confirmed", 0.08)
    tight = answer(tmp_path / "tight", claim, findings={"margin": 0.001})
    assert (tight.verdict, tight.margin) == ("cannot tell", 0.001)


def test_benchmarks_are_taken_together(tmp_path: Path) -> None:
    claim = {"arm": "run2", "expect": "worse"}
    assert answer(tmp_path / "a", {**claim, "benchmarks": ["haerae", "kmmlu_redux"]}).verdict == "confirmed"
    assert answer(tmp_path / "b", {**claim, "benchmarks": ["haerae", "daily_qa"]}).verdict == "cannot tell"
    assert answer(tmp_path / "c", {**claim, "benchmarks": ["daily_qa", "mclm_ko"]}).verdict == "contradicted"


@pytest.mark.parametrize(("dose", "verdict"), [(900, "confirmed"), (1, "contradicted")])
def test_a_threshold_is_held_against_the_dose_by_its_whole_interval(tmp_path: Path, dose: int, verdict: str) -> None:
    told = answer(tmp_path, {"design": "dose", "benchmarks": ["haerae"], "expect": "threshold", "dose": dose})
    (evidence,) = told.evidence
    if evidence.low is None or evidence.high is None:  # an open end settles only what lies on the other side of it
        verdict = "confirmed" if evidence.high is not None and evidence.high <= dose else "cannot tell"
    assert told.verdict == verdict
    assert (told.arm, told.dose) == (None, dose)


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    missing = [(arm, seed) for arm in ("run2", "run3") for seed in range(6)]
    gone = answer(tmp_path / "a", {"arm": "run2", "benchmarks": ["haerae"], "expect": "worse"}, missing=missing)
    assert (gone.verdict, gone.evidence[0].found) == ("cannot tell", "no common seed has finished")
    scales = answer(tmp_path / "b", {"design": "sizes", "benchmarks": ["haerae"], "expect": "scales"}, missing=missing)
    assert (scales.verdict, scales.evidence[0].estimate) == ("cannot tell", None)
