"""The display: plain lines where there is no terminal, a table that ends where there is one."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from composer.study.display import Display
from composer.study.runner import Event, Trial

TRIALS = [Trial("base", seed, f"k{seed}", {}, 10, label="기준 [bold]") for seed in range(4)] + [
    Trial("twin", 0, "k0", {}, 10)
]


def tell(display: Display) -> None:
    done, slow, bad, before = TRIALS[:4]
    display(Event("skipped", before))
    for trial in (done, slow, bad):
        display(Event("started", trial))
    display(Event("progress", done, phase="train", step=5, steps=10, loss=2.5))
    display(Event("progress", slow, phase="evaluate", step=0, steps=0))
    display(Event("retried", bad, error="killed by signal 9 (SIGKILL)"))
    display(Event("started", bad))
    display(Event("finished", done, loss=1.25, seconds=12.34))
    display(Event("progress", slow, phase="train", step=7, steps=10, loss=1.5))
    display(Event("failed", bad, error="ValueError: [red]no", seconds=3.0))


def shown(terminal: bool) -> str:
    out = io.StringIO()
    with Display(TRIALS, Console(file=out, force_terminal=terminal, width=100, _environ={"TERM": "xterm"})) as display:
        tell(display)
    return out.getvalue()


def test_one_plain_line_per_ended_trial_without_a_terminal() -> None:
    assert shown(terminal=False).splitlines() == [
        "기준 [bold] seed 2: killed by signal 9 (SIGKILL); it is tried once more",
        "2/4 기준 [bold] seed 0: 12.3 s, loss 1.250",
        "3/4 기준 [bold] seed 2: failed after 3.0 s: ValueError: [red]no",
    ]


def test_a_terminal_shows_the_table_above_which_ended_trials_stay(tmp_path: Path) -> None:
    text = shown(terminal=True)
    for part in (
        "2/4 기준 [bold] seed 0: 12.3 s, loss 1.250",
        "all trials",
        "기준 [bold] seed 1",
        "s left",
        "loss 1.500",
    ):
        assert part in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is shown again


def test_the_overall_bar_counts_steps() -> None:
    with Display(TRIALS, Console(file=io.StringIO(), force_terminal=True, width=100)) as display:
        tell(display)
        overall = next(task for task in display.table.tasks if task.description == "all trials")
        assert (overall.completed, overall.total) == (17, 20)  # finished 10, 7 of 10; the failed and skipped ones left
        assert overall.fields["note"].startswith("3/4, ")
        assert [task.description for task in display.table.tasks] == ["all trials", "기준 [bold] seed 1"]
