from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from findings.run_folder import ARMS, write_run

from composer.artifacts import read_json, write_json
from composer.errors import RequestError
from composer.findings import find
from composer.report import write
from composer.report.markup import VOID

INJECTION = "</title><script>alert('x')</script>\"'><img src=x onerror=alert(1)>&"
NUMBERS = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "dx"}


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def classed(self, tag: str, class_: str) -> int:
        return sum(class_ in (attributes.get("class") or "").split() for attributes in self.named(tag))


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    copied = tmp_path_factory.mktemp("page") / "run"
    shutil.copytree(run, copied)
    return Page(write(copied))


def test_the_page_needs_no_other_file(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = write(tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|<img|\bsrc=|\bhref=", source)
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in Page(path).named("meta"))
    assert str(tmp_path) not in source


def test_every_section_is_there(page: Page) -> None:
    for title in (
        "Ko-R1-3 데이터 구성 실험",
        "Findings",
        "Gains, accuracy",
        "Gains, smooth score",
        "Scores",
        "Mixtures",
        "Cost",
        "Training loss",
        "How to read",
        "How to reproduce",
    ):
        assert title in page.text
    assert "composer run ko_r1_3/all study.seeds=4" in page.text
    assert "transformers 5.23.0" in page.text
    assert "the expected gain over training seeds on these items and this exact mixture" in page.text
    assert "run4, seed 3 failed: CUDA out of memory <at step 12>" in page.text


def test_every_gain_score_and_curve_is_drawn(page: Page) -> None:
    assert page.classed("circle", "mark") == 2 * 5 * 4
    # The trials of run4's seed 3 are absent from its two contrasts.
    assert page.classed("circle", "seed") == 2 * 4 * (3 * 4 + 2 * 3)
    assert page.classed("path", "loss") == 15
    assert page.classed("rect", "segment") == 2 * (4 + 3 + 4 + 3)


def test_what_monitors_told_is_on_the_curves_and_in_a_table(page: Page) -> None:
    assert page.classed("circle", "event") == 3
    assert "run2, seed 0: the rows of step 89 are harder (the step was left out)" in page.text
    assert "training ended" in page.text


def test_verdicts_on_the_page_are_those_of_the_results(page: Page, run: Path) -> None:
    results = find(run)
    for verdict in ("better", "worse"):
        expected = sum(gain.verdict == verdict for gain in results.gains)
        assert expected
        assert page.classed("g", verdict) == page.classed("td", verdict) == expected


def test_numbers_on_the_page_are_those_of_the_results(page: Page, run: Path) -> None:
    sorted_by = {attributes.get("data-value") for attributes in page.named("td")}
    assert {str(gain.gain) for gain in find(run).gains} <= sorted_by
    assert {str(score.mean) for score in find(run).scores} <= sorted_by


def test_coordinates_are_finite_and_inside_the_drawing(page: Page) -> None:
    seen = 0
    for _, attributes in page.elements:
        for name in NUMBERS & attributes.keys():
            value = attributes[name]
            assert value is not None
            assert re.fullmatch(r"-?\d+(\.\d+)?", value)
            assert -1 <= float(value) <= 2000
            seen += 1
        path = attributes.get("d")
        if path:
            assert re.fullmatch(r"M-?[\d.]+ -?[\d.]+(L-?[\d.]+ -?[\d.]+)*", path)
    assert seen > 500


def test_labels_are_text_wherever_they_stand(tmp_path: Path) -> None:
    run = write_run(tmp_path, labels={"run2": INJECTION}, seeds=2, failed=[("run3", 1)])
    plan = read_json(run / "plan.json")
    plan["label"] = plan["command"] = plan["model"]["label"] = plan["pool"]["name"] = INJECTION
    plan["benchmarks"]["haerae"]["label"] = INJECTION
    plan["comparisons"] = {INJECTION: {"arm": "run2", "against": "run1"}}
    plan["categories"] = [INJECTION, *plan["categories"][1:]]
    for arm in plan["arms"].values():
        arm["mixture"]["categories"][INJECTION] = arm["mixture"]["categories"].pop("openthought")
    write_json(run / "plan.json", plan)
    failed = next((run / "trials").glob("*/failed.json"))
    write_json(failed, {"key": failed.parent.name, "error": INJECTION})
    (run / "config.yaml").write_text(INJECTION, encoding="utf-8")
    find(run)
    read = Page(write(run))
    assert read.text.count(INJECTION) >= 8
    assert len(read.named("script")) == 1
    assert not read.named("img")
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_drawn_for_what_they_are(tmp_path: Path, seeds: int) -> None:
    run = write_run(tmp_path, seeds=seeds, smooth=False)
    results = find(run)
    read = Page(write(run))
    assert read.classed("circle", "mark") == 5 * 4
    # In the table, beside the drawing and in its tooltip.
    assert read.text.count("one seed") == (3 * 5 * 4 if seeds == 1 else 0)
    assert read.classed("line", "reach") == sum(gain.low is not None for gain in results.gains)
    # Two seeds leave one degree of freedom: some intervals are far wider than the axis and end in an arrow.
    assert (read.classed("path", "reach") > 0) == (seeds == 2)


@pytest.mark.parametrize("baseline", ["run1", None])
def test_a_run_with_nothing_finished_has_a_page(tmp_path: Path, baseline: str | None) -> None:
    run = write_run(tmp_path, baseline=baseline, comparisons={}, missing=[(arm, s) for arm in ARMS for s in range(4)])
    find(run)
    read = Page(write(run))
    assert "0 of 16" in read.text
    assert "Training loss" not in read.text


def test_the_same_run_gives_the_same_page(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    first = write(tmp_path / "run").read_bytes()
    assert write(tmp_path / "run").read_bytes() == first


def test_a_run_without_results_is_refused_and_leaves_no_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=1)
    with pytest.raises(RequestError, match=r"results\.json"):
        write(run)
    (run / "results.json").write_text(json.dumps({"version": 0}), encoding="utf-8")
    with pytest.raises(RequestError, match="version 0"):
        write(run)
    assert not (run / "report.html").exists()
