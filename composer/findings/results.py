"""What `RUN/results.json` holds: these classes, written as JSON objects with the same names.

Every section but `cost` is a function of the plan, the items and what monitors told, so two runs of one recipe on one
machine agree in it byte for byte; `cost` holds what was timed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from composer.artifacts import read_json
from composer.errors import RequestError
from composer.findings.claims import Answer
from composer.findings.decode import decoded
from composer.findings.designs import DoseFinding, EffectFinding, ScalingFinding
from composer.findings.fidelities import AgreementFinding, SignalFinding
from composer.findings.fidelity import Signal
from composer.findings.measured import Cost, Family, Gain, Rules, Score
from composer.findings.planned import Arm, Benchmark, Kind, Status, Trial, TrialEvent
from composer.findings.search import SearchFinding

VERSION = 2


@dataclass(frozen=True)
class Results:
    """Everything a run has found.

    Attributes:
        version: Version of this schema.
        recipe: The recipe's name.
        label: The recipe's name for people.
        model: The label of the model that trials start from.
        pool: The name of the pool that mixtures are composed from.
        baseline: The arm that gains are measured against, or null.
        rules: How gains are judged.
        benchmarks: In the plan's order.
        arms: In the plan's order.
        trials: In the plan's order.
        scores: Every arm × benchmark × kind.
        gains: Every other arm against the baseline, then every declared comparison; each × benchmark × kind.
        families: One a kind.
        answers: What the findings say of each claim of the recipe.
        doses: Every dose ladder × benchmark × kind.
        curves: Every scaling ladder × category × benchmark × kind.
        signals: Whether each benchmark × kind tells the arms apart.
        reference: The run that the order of the arms was held against, by its folder; null where none was.
        agreements: Every benchmark × kind that both runs have.
        effects: Every effect of every factorial × benchmark × kind.
        cost: One an arm.
        search: What the recipe's search has found; null where it has none.
        events: What the monitors of finished and failed trials told.
    """

    version: int
    recipe: str
    label: str
    model: str
    pool: str
    baseline: str | None
    rules: Rules
    benchmarks: tuple[Benchmark, ...]
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    families: tuple[Family, ...]
    answers: tuple[Answer, ...]
    doses: tuple[DoseFinding, ...]
    curves: tuple[ScalingFinding, ...]
    effects: tuple[EffectFinding, ...]
    signals: tuple[SignalFinding, ...]
    reference: str | None
    agreements: tuple[AgreementFinding, ...]
    cost: tuple[Cost, ...]
    search: SearchFinding | None = None  # older results, which have none, are still read
    events: tuple[TrialEvent, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """This as a JSON value."""
        return asdict(self)

    @classmethod
    def read(cls, run: Path) -> Results:
        """Reads `RUN/results.json`.

        Raises:
            RequestError: There is none, or it has another version.
        """
        path = run / "results.json"
        if not path.is_file():
            raise RequestError(f"{run} holds no results.json: run `composer report` on it once a trial has finished")
        value = read_json(path)
        if value.get("version") != VERSION:
            raise RequestError(
                f"{path} has version {value.get('version')}: this composer reads version {VERSION}; delete it and "
                "run `composer report` again"
            )
        results: Results = decoded(cls, value)
        return results

    def label_of(self, arm: str) -> str:
        """The label of an arm."""
        return next(one.label for one in self.arms if one.name == arm)

    def score(self, arm: str, benchmark: str, kind: Kind) -> Score:
        """The score of an arm on a benchmark, which must have this kind of measure."""
        return next(one for one in self.scores if (one.arm, one.benchmark, one.kind) == (arm, benchmark, kind))

    def contrasts(self) -> list[tuple[str | None, str, str]]:
        """Every (comparison, arm, against) that has gains, in order."""
        return list(dict.fromkeys((one.comparison, one.arm, one.against) for one in self.gains))

    def gain(self, contrast: tuple[str | None, str, str], benchmark: str, kind: Kind) -> Gain:
        """The gain of a contrast on a benchmark, which must have this kind of measure."""
        wanted = (*contrast, benchmark, kind)
        return next(g for g in self.gains if (g.comparison, g.arm, g.against, g.benchmark, g.kind) == wanted)

    def measured(self, kind: Kind) -> list[Benchmark]:
        """The benchmarks that have this kind of measure."""
        return [one for one in self.benchmarks if one.measure(kind) is not None]

    def signal(self, benchmark: str, kind: Kind) -> Signal:
        """Whether a benchmark, which must have this kind of measure, tells the arms apart."""
        return next(one.signal for one in self.signals if (one.benchmark, one.kind) == (benchmark, kind))

    def count(self, status: Status) -> int:
        """How many planned trials have this status."""
        return sum(one.status == status for one in self.trials)
