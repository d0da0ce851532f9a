"""Items that one arm answers and another does not, with what both said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from composer.findings.planned import Benchmark
from composer.findings.results import Results

COLUMNS = ("doc_hash", "doc_id", "value", "prompt", "target", "response")


@dataclass(frozen=True)
class Flip:
    """One item on which the arms differ.

    Attributes:
        doc_id: Its place in the task.
        gained: Seeds in which the arm is right and the other is wrong.
        lost: Seeds in which it is the other way round.
        seed: The seed of the answers below: the first in which they differ as they do in most.
        prompt: What was asked.
        target: The gold answer.
        arm: What the arm said; None where an answer is a likelihood.
        against: What the other said.
    """

    doc_id: int
    gained: int
    lost: int
    seed: int
    prompt: str
    target: str
    arm: str | None
    against: str | None


@dataclass(frozen=True)
class Flips:
    """All items of a benchmark on which two arms differ, those that differ in most seeds first."""

    seeds: int
    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]


def flips(run: Path, results: Results, arm: str, against: str, benchmark: Benchmark) -> Flips:
    """The items that flipped between two arms, over the seeds that both finished.

    An item counts where its accuracy is higher with one arm than with the other. It is `gained` where that is the case
    in more seeds than the reverse, and `lost` in the other case.

    Args:
        run: The run folder, whose trials hold their answers.
        results: What was found in it.
        arm: The arm.
        against: The arm it is compared with.
        benchmark: The benchmark, by its accuracy.
    """
    keys = {
        name: {one.seed: one.key for one in results.trials if one.arm == name and one.status == "finished"}
        for name in (arm, against)
    }
    seeds = sorted(keys[arm].keys() & keys[against].keys())
    pairs = [
        (seed, _answers(run, keys[arm][seed], benchmark), _answers(run, keys[against][seed], benchmark))
        for seed in seeds
    ]
    if not pairs:
        return Flips(0, (), ())
    found = [
        flip
        for place in range(len(pairs[0][1]))
        if (flip := _flip([(seed, ours[place], theirs[place]) for seed, ours, theirs in pairs])) is not None
    ]
    found.sort(key=lambda flip: (-abs(flip.gained - flip.lost), flip.doc_id))
    return Flips(
        len(seeds),
        tuple(flip for flip in found if flip.gained > flip.lost),
        tuple(flip for flip in found if flip.gained < flip.lost),
    )


def _flip(of_seeds: Sequence[tuple[int, dict[str, Any], dict[str, Any]]]) -> Flip | None:
    gained = [pair for pair in of_seeds if pair[1]["value"] > pair[2]["value"]]
    lost = [pair for pair in of_seeds if pair[1]["value"] < pair[2]["value"]]
    if len(gained) == len(lost):
        return None
    seed, ours, theirs = (gained if len(gained) > len(lost) else lost)[0]
    said = ours["response"], theirs["response"]
    return Flip(ours["doc_id"], len(gained), len(lost), seed, ours["prompt"], ours["target"], *said)


def _answers(run: Path, key: str, benchmark: Benchmark) -> list[dict[str, Any]]:
    """One trial's items of the benchmark's accuracy, in the order in which all trials have them."""
    measure = benchmark.accuracy
    wanted = (
        (pc.field("task") == measure.task)
        & (pc.field("filter") == measure.filter)
        & (pc.field("metric") == measure.metric)
    )
    table = pq.read_table(run / "trials" / key / "items.parquet", columns=list(COLUMNS), filters=wanted)
    rows: list[dict[str, Any]] = table.sort_by([("doc_hash", "ascending"), ("doc_id", "ascending")]).to_pylist()
    return rows
