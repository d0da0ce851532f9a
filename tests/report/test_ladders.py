from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from findings.run_folder import write_run
from findings.test_claims import NOTHING
from findings.test_designs import DOSES, FACTORIAL, SIZES
from rich.console import Console

from composer.findings import Results, find
from composer.report import write
from composer.report.terminal import show
from report.test_html import NUMBERS, Page

CLAIMS = {
    "few": {**NOTHING, "label": "적은 MCQA로 충분", "says": "2.7k <b>rows</b>", "design": "dose", "dose": 72,
            "benchmarks": ["haerae", "kmmlu_redux"], "expect": "threshold"},
    "lost": {**NOTHING, "label": "Without MCQA it falls", "arm": "run2", "benchmarks": ["haerae"], "expect": "worse"},
    "grows": {**NOTHING, "design": "sizes", "benchmarks": ["mclm_ko"], "expect": "scales"},
}  # fmt: skip


@pytest.fixture(scope="module")
def designed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    designs = {"dose": DOSES, "sizes": SIZES, "both": FACTORIAL}
    run = write_run(tmp_path_factory.mktemp("designed") / "run", seeds=5, designs=designs, claims=CLAIMS)
    find(run)
    write(run)
    return run


def test_the_answer_comes_first_with_every_verdict(designed: Path) -> None:
    page, results = Page(designed / "report.html"), Results.read(designed)
    assert page.text.index("Answers") < page.text.index("Dose") < page.text.index("Findings")
    for answer in results.answers:
        assert answer.label in page.text
    assert page.classed("span", "verdict") == 3
    assert "2.7k <b>rows</b>" in page.text


def test_every_ladder_has_its_panels_and_a_curve_only_where_a_test_allows_it(designed: Path) -> None:
    page, results = Page(designed / "report.html"), Results.read(designed)
    points = [len(one.response.points) for one in results.doses] + [len(one.curve.points) for one in results.curves]
    assert page.classed("circle", "mean") == sum(points)
    assert page.classed("circle", "dot") == 5 * sum(points)
    shown = sum(bool(one.response.curve) for one in results.doses) + sum(bool(one.fits) for one in results.curves)
    assert page.classed("path", "band") == shown
    assert page.classed("line", "threshold") == sum(one.response.threshold is not None for one in results.doses) > 0


def test_coordinates_are_inside_the_drawing(designed: Path) -> None:
    for _, attributes in Page(designed / "report.html").elements:
        for name in NUMBERS & attributes.keys():
            assert re.fullmatch(r"-?\d+(\.\d+)?", attributes[name] or "")
            assert -1 <= float(attributes[name] or "nan") <= 2600


def test_the_terminal_says_the_same(designed: Path) -> None:
    console = Console(width=110, record=True, file=io.StringIO())
    show(Results.read(designed), console)
    said = console.export_text()
    assert "Answers" in said and "적은 MCQA로 충분" in said and "Doses and sizes" in said
