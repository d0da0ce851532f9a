from __future__ import annotations

import io
from pathlib import Path

import pytest
from findings.run_folder import ARMS, write_run
from rich.cells import cell_len
from rich.console import Console

from composer.findings import Results, find
from composer.report import show


def printed(run: Path, width: int = 100, colour: bool = False) -> str:
    colours = "truecolor" if colour else None
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, color_system=colours)
    show(Results.read(run), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def table(text: str, title: str) -> list[str]:
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(title))
    end = next(
        place for place in range(start + 5, len(lines)) if not lines[place].strip() and not lines[place + 1].strip()
    )
    return lines[start:end]


def test_four_arms_and_four_benchmarks_fit_a_hundred_columns(run: Path) -> None:
    text = printed(run)
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    for title in (
        "Gains over run1 · accuracy",
        "Gains over run1 · smooth score",
        "Scores · accuracy",
        "Mixtures",
        "Cost",
    ):
        assert text.count(title) == 1
    body = "\n".join(table(text, "Gains over run1 · smooth") + table(text, "Cost"))
    assert body.count("±") == 1 + 5 * 4
    assert not [line for line in body.splitlines() if "±" in line and line.rstrip().endswith("…")]


def test_columns_line_up_under_hangul(run: Path) -> None:
    rows = [line for line in table(printed(run), "Scores · accuracy") if "±" in line and line.startswith(" run")]
    places = [[cell_len(line[:at]) for at, letter in enumerate(line) if letter == "±"] for line in rows]
    assert len(rows) == len(ARMS)
    assert all(place == places[0] for place in places)


def test_only_settled_gains_are_coloured_and_marked(run: Path) -> None:
    results = find(run)
    gains = [gain for gain in results.gains if gain.kind == "accuracy"]
    better = sum(gain.verdict == "better" for gain in gains)
    worse = sum(gain.verdict == "worse" for gain in gains)
    assert better and worse and better + worse < len(gains)
    text = "\n".join(table(printed(run, colour=True), "\x1b[1mGains over run1 · accuracy"))
    assert (text.count("▲"), text.count("▼")) == (better, worse)
    assert text.count("\x1b[1;34m") == better
    assert text.count("\x1b[1;38;5;208m") == worse


def test_what_failed_and_what_it_says_is_shown(run: Path) -> None:
    text = printed(run)
    assert "15 of 16 trials finished, 1 failed" in text
    assert "CUDA out of memory <at step 12>" in text
    assert "How to read" in text and "expected gain over training seeds" in " ".join(text.split())


def test_markup_in_labels_is_text(tmp_path: Path) -> None:
    run = write_run(tmp_path, labels={"run2": "[red]x[/red] [/b]"})
    find(run)
    assert "[red]x[/red] [/b]" in printed(run)


def test_a_gain_without_an_interval_says_why(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=1, smooth=False)
    find(run)
    assert printed(run).count("one seed") == 5 * 4


def test_narrow_terminals_get_fewer_benchmarks_a_table(run: Path) -> None:
    text = printed(run, width=64)
    assert text.count("Gains over run1 · accuracy") == 2
    assert max(cell_len(line) for line in text.splitlines()) <= 64


@pytest.mark.parametrize("baseline", ["run1", None])
def test_a_run_with_nothing_finished_is_shown(tmp_path: Path, baseline: str | None) -> None:
    run = write_run(tmp_path, baseline=baseline, missing=[(arm, seed) for arm in ARMS for seed in range(4)])
    find(run)
    assert "0 of 16 trials finished, 16 missing" in printed(run)


def test_what_monitors_told_is_a_line_each(run: Path) -> None:
    text = printed(run)
    assert "run2, seed 0: the rows of step 89 are harder; the step was left out" in text
    assert "run4, seed 3: the loss of step 12 is no number; training ended" in text


def test_the_time_of_a_trial_is_told_by_phase_and_a_cpu_has_no_gpu_hours(run: Path) -> None:
    text = " ".join(printed(run).split())
    assert "Mean trial: load 2.0 s, tokenise 1.0 s, train " in text
    assert "useful tokens 62 %, MFU –, GPU-hours –." in text
