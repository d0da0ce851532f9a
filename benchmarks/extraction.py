"""Does composer read final answers as the graders did who labelled real traces? Prints how often, and each difference.

    COMPOSER_DATA=… python benchmarks/extraction.py > benchmarks/extraction.md

The traces are those of HAE-RAE's logical puzzles (MIT): 3,828 replies of three models with the gold answer and whether
the reply was judged correct. Nothing but the reply and the gold answer is read; the judges knew each puzzle's form.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from composer.answers.equality import same_answer
from composer.answers.replies import read, stated_answer

FILES = ("traces_ko.jsonl", "traces_en.jsonl")


@dataclass(frozen=True)
class Judged:
    """One trace: what composer read and what it and the labels say."""

    trace: str
    task: str
    gold: str
    label_read: str
    composer_read: str | None
    label: bool
    composer: bool


def judged(folder: Path) -> Iterator[Judged]:
    """Every trace under `folder`, graded."""
    for name in FILES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            stated = stated_answer(read(f"<think>{row['thinking']}</think>{row['response']}").answer)
            right = stated is not None and same_answer(stated, row["gold"])
            task = row["task"].rsplit("_", 1)[0]
            trace = f"{row['id']}, {row['model'].split('_')[-1]}"
            yield Judged(trace, task, row["gold"], str(row["pred"] or ""), stated, row["correct"], right)


def main() -> int:
    """Prints the agreement by task and the table of differences; 1 without the data."""
    given = os.environ.get("COMPOSER_DATA")
    folder = Path(given or ".") / "pool" / "think_traces"
    if not given or not folder.is_dir():
        print("set COMPOSER_DATA to a folder that holds pool/think_traces", file=sys.stderr)
        return 1
    traces = list(judged(folder))
    apart = [one for one in traces if one.label != one.composer]
    everything, differing = Counter(one.task for one in traces), Counter(one.task for one in apart)
    agreed = len(traces) - len(apart)
    print("# Final answers read from real traces\n")
    print("`COMPOSER_DATA=… python benchmarks/extraction.py` on 2,823 Korean and 1,005 English replies.\n")
    print("The reader was mended on these very traces: it says nothing about others.\n")
    print(f"Agreement with the correctness label: **{agreed} of {len(traces)}, {agreed / len(traces):.4f}**\n")
    print("| task | traces | agree |\n|---|---|---|")
    for task in sorted(everything):
        print(f"| {task} | {everything[task]} | {everything[task] - differing[task]} |")
    print(f"\n## The {len(apart)} differences\n")
    print("| trace | gold | read by the label's grader | read by composer | label | composer | why |")
    print("|---|---|---|---|---|---|---|")
    for one in apart:
        read_by = (one.gold, one.label_read, one.composer_read)
        cells = [one.trace, *(_cell(text) for text in read_by), _word(one.label), _word(one.composer), why(one)]
        print("| " + " | ".join(cells) + " |")
    return 0


def _cell(text: str | None) -> str:
    if text is None:
        return "nothing"
    text = " ".join(text.split()).replace("|", "\\|")
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"


def why(one: Judged) -> str:
    """Why label and composer differ on a trace, or that it is not explained."""
    read_text = one.composer_read or ""
    if one.composer and read_text == one.gold and one.label_read != one.gold:
        return "the reply states the gold answer; the label's grader reads digits only, and this grid has letters too"
    if one.label and one.gold in read_text:
        return "the reply states more than was asked; the label's grader takes the part that was"
    return "not explained"


def _word(right: bool) -> str:
    return "right" if right else "wrong"


if __name__ == "__main__":
    sys.exit(main())
