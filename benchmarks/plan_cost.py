"""What `composer plan --measure` says beforehand against what the run then took: `python benchmarks/plan_cost.py`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMON = ["quickstart", "study.seeds=1", "launcher.workers=2"]
CASES = {
    "quickstart, one seed": [],
    "packed": ["trainer.packing=best_fit"],
    "16 rows a step, 1,500 rows": ["trainer.batch_size=16", "mixture.size=1500"],
    "half the items, one epoch": ["benchmarks.limit=100", "trainer.epochs=1", "mixture.size=1500"],
}
PHASES = ("load", "tokenise", "train", "evaluate")


def main() -> None:
    """Plans, runs, and prints a table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("| case | trials | " + " | ".join(f"{phase}, s" for phase in PHASES) + " | in all, s | planned over taken |")
    print("|---|---:|" + "---:|" * (len(PHASES) + 2))
    for name, given in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            print(
                _line(name, *_planned_and_taken([*COMMON, *given, f"out={folder}/run"], Path(folder) / "run")),
                flush=True,
            )


def _planned_and_taken(words: list[str], out: Path) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    with tempfile.TemporaryDirectory() as cache:  # nothing that was measured before
        environment = {**os.environ, "COMPOSER_CACHE": cache, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "composer.cli"]
        planned = subprocess.run(
            [*command, "plan", *words, "--measure", "--json"], env=environment, capture_output=True, check=True
        )
        plan: dict[str, Any] = json.loads(planned.stdout)
        subprocess.run([*command, "run", *words], env=environment, stdout=subprocess.DEVNULL, check=True)
    once = {trial["key"]: plan["arms"][trial["arm"]]["phases"] for trial in plan["trials"]}
    taken = [json.loads((out / "trials" / key / "record.json").read_text())["seconds"] for key in once]
    return list(once.values()), taken


def _line(name: str, planned: list[dict[str, float]], taken: list[dict[str, float]]) -> str:
    cells, sums = [], [0.0, 0.0]
    for phase in PHASES:
        both = [sum(of[phase] for of in these) / len(these) for these in (planned, taken)]
        sums = [total + one for total, one in zip(sums, both, strict=True)]
        cells.append(f"{both[0]:.1f} / {both[1]:.1f}")
    return f"| {name} | {len(taken)} | {' | '.join(cells)} | {sums[0]:.1f} / {sums[1]:.1f} | {sums[0] / sums[1]:.2f} |"


if __name__ == "__main__":
    main()
