from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from findings.search_run import planned, write_search
from rich.cells import cell_len
from rich.console import Console

from composer.artifacts import read_json, write_json
from composer.findings import Results, find
from composer.findings.power import known_noise, plan_power
from composer.report import show, write
from composer.report.focus import BEST, by_merit, focused
from composer.report.plan import show_plan
from report.test_html import INJECTION, NUMBERS, Page

NOW = ("study.seeds=2", "study.baseline=now", "study.arms.now.label=Now")
APART = (
    "study.seeds=2", "study.search.pareto=[cost,kmmlu_redux]", "study.search.size=[40,90]",
    "study.search.trainer.learning_rate.low=0.0001", "study.search.trainer.learning_rate.high=0.01",
    "study.search.trainer.learning_rate.log=true", "study.search.trainer.epochs.choices=[1,2]",
)  # fmt: skip
PROPOSALS = 24


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One declared arm and 24 proposals, of which one failed."""
    run = tmp_path_factory.mktemp("searched") / "run"
    write_search(run, planned(*NOW, trials=PROPOSALS), failed=[("p003", 0), ("p003", 1)])
    find(run)
    write(run)
    return run


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("apart") / "run"
    write_search(run, planned(*APART, trials=16))
    find(run)
    write(run)
    return run


def printed(run: Path, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(Results.read(run), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plan_printed(plan: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    noise = known_noise({"noise": {}, "of": plan["benchmarks"], "limit": None}, None)
    show_plan({**plan, "power": plan_power(plan, noise)}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_tells_what_was_found_and_how_sure_it_is(searched: Path) -> None:
    page, found = Page(searched / "report.html"), Results.read(searched).search
    assert found is not None and found.best is not None and found.best.bias is not None
    text = page.text
    assert text.index("Search") < text.index("Best so far") < text.index("Findings")
    assert f"{found.best.arm} has the highest mean of 4 benchmarks" in text
    assert (
        "24 mixtures proposed by the sampler “mixture”, the first 8 drawn at random, beside 1 declared arm: 1 failed."
        in text
    )
    assert f"here by up to {100 * found.best.bias:.1f} points" in text
    assert all(arm in text for arm in found.best.among)


def test_every_arm_has_a_line_and_every_finished_one_a_dot(searched: Path) -> None:
    page, found = Page(searched / "report.html"), Results.read(searched).search
    assert found is not None
    ranks = [one.rank for one in found.arms if one.rank is not None]
    assert len(ranks) == PROPOSALS  # all but the failed one
    shown = {attributes.get("data-value") for attributes in page.named("td")}
    assert {str(one.values[0]) for one in found.arms if one.values} <= shown
    assert page.classed("path", "curve") == 1
    assert "p003: failed" in page.text
    for one in found.arms:
        if one.values:
            assert f"{one.arm}: {100 * one.values[0]:.1f} ± " in page.text


def test_figures_are_of_the_declared_arms_and_the_best_proposals(searched: Path) -> None:
    page, results = Page(searched / "report.html"), Results.read(searched)
    assert results.search is not None
    shown = focused(results)
    best = [one.arm for one in by_merit(results.search) if one.proposed][:BEST]
    assert {one.name for one in shown.arms} == {"now", *best}
    assert page.classed("circle", "mark") == 2 * 4 * BEST
    assert page.classed("path", "loss") == 2 * (1 + BEST)
    assert page.text.count(f"Of the search’s {PROPOSALS} proposals, the best {BEST} are shown.") >= 5
    assert page.text.count("All 25 arms") == 4  # gains twice, scores, cost
    gains = {str(gain.gain) for gain in results.gains if gain.gain is not None}
    assert gains <= {attributes.get("data-value") for attributes in page.named("td")}


def test_coordinates_are_finite_and_inside_the_drawing(searched: Path, apart: Path) -> None:
    for run in (searched, apart):
        for _, attributes in Page(run / "report.html").elements:
            for name in NUMBERS & attributes.keys():
                assert -1 <= float(attributes[name] or "nan") <= 2600
            if path := attributes.get("d"):
                assert re.fullmatch(r"M-?[\d.]+ -?[\d.]+(L-?[\d.]+ -?[\d.]+)*", path)


def test_two_objectives_are_drawn_with_their_front(apart: Path) -> None:
    page, found = Page(apart / "report.html"), Results.read(apart).search
    assert found is not None
    front = [one.arm for one in found.arms if one.on_front]
    assert "Pareto front" in page.text and "Best so far" not in page.text
    assert page.text.count("●") == len(front)
    assert "learning_rate" in page.text and "epochs" in page.text and "rows" in page.text
    assert "0.00" in page.text and "as the recipe" in page.text
    said = printed(apart)
    assert all(arm in said for arm in front[:5])
    assert "training tokens" in " ".join(said.split())


def test_three_objectives_are_a_table(tmp_path: Path) -> None:
    run = write_search(tmp_path, planned("study.seeds=1", "study.search.pareto=[haerae,kmmlu_redux,daily]"))
    found = find(run).search
    page = Page(write(run))
    assert found is not None
    assert "on the Pareto front of" in page.text and "The two objectives" not in page.text
    assert page.text.count("●") == sum(one.on_front for one in found.arms)


def test_labels_are_text_wherever_they_stand(searched: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    plan = read_json(run / "plan.json")
    plan["search"]["objectives"] = {"haerae": 2, "daily": 1}
    plan["search"]["sampler"] = INJECTION
    plan["benchmarks"]["haerae"]["label"] = INJECTION
    plan["categories"] = [INJECTION, *plan["categories"][1:]]
    write_json(run / "plan.json", plan)
    find(run)
    page = Page(write(run))
    assert page.text.count(INJECTION) >= 6
    assert len(page.named("script")) == 1 and not page.named("img")
    assert INJECTION[:20] in " ".join(printed(run, 200).split())


def test_the_terminal_lists_the_best_and_fits(searched: Path) -> None:
    for width in (72, 100, 140):
        text = printed(searched, width)
        assert max(cell_len(line) for line in text.splitlines()) <= width
    results = Results.read(searched)
    assert results.search is not None
    lines = [line.split() for line in text.splitlines() if re.match(r" +\d+  (p\d{3}|now) ", line)]
    assert [line[1] for line in lines] == [one.arm for one in by_merit(results.search)[:10]]
    said = " ".join(text.split())
    assert "the best 5 are shown" in said and "is partly the luckiest" in said
    assert "2 failed" in said


def test_a_search_of_which_nothing_finished_is_shown(tmp_path: Path) -> None:
    plan = planned("study.seeds=1")
    run = write_search(tmp_path, plan, missing=[(one["arm"], one["seed"]) for one in plan["trials"]])
    find(run)
    assert "No arm has finished." in Page(write(run)).text
    assert "No arm has finished." in printed(run)


def test_a_plan_tells_what_is_searched_and_what_it_costs() -> None:
    plan = planned(*APART, "study.search.bounds.mcqa=[0.05,0.2]", trials=16)
    first = next(iter(plan["arms"]))
    early = {**plan, "arms": {first: plan["arms"][first]}}
    text = plan_printed(early)
    assert re.search(r"share of mcqa +5.0 % +5.0 % +20.0 %", text)
    assert re.search(r"share of daily +50.0 % +0.0 % +100.0 %", text)
    assert re.search(r"rows +100 +40 +90", text) and re.search(r"epochs +– +one of +1, 2", text)
    assert "objectives, kept apart: cost, kmmlu_redux" in text
    assert "16 × 2 seeds = 32 further trials" in text
    assert f"{32 * plan['arms'][first]['training_tokens']:,} training tokens" in text
    done = plan_printed(plan)
    assert "16 of them made" in done and "0 × 2 seeds = 0 further trials" in done and "p003" not in done


def test_a_plan_without_anything_to_compare_has_no_table_of_it() -> None:
    plan = planned("study.seeds=2")
    noise = {"seed_sd": 0.01, "item_sd": 0.1, "residual_sd": 0.3, "source": "a guess"}
    of = {name: {"items": 100} for name in plan["benchmarks"]}
    known = known_noise({"noise": {name: noise for name in of}, "of": of, "limit": None}, None)
    for baseline, seen in ((None, False), ("default", True)):
        asked = {**plan, "baseline": baseline}
        console = Console(file=io.StringIO(), width=160)
        show_plan({**asked, "power": plan_power(asked, known)}, console)
        assert isinstance(console.file, io.StringIO)
        assert ("What the study can see" in console.file.getvalue()) == seen
        assert "objective: 0.25 kmmlu_redux + 0.25 haerae + 0.25 mclm_ko + 0.25 daily" in console.file.getvalue()
