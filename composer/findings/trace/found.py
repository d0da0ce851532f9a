"""What `composer trace --json` prints: these classes, as JSON objects with the same names. Losses are in nats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from composer.findings.trace.separation import Separation

VERSION = 1

Kind = Literal["filter", "label", "content", "number"]


@dataclass(frozen=True)
class Event:
    """Something that the trial's monitors told: `kind` is spike, drift, plateau or divergence."""

    step: int
    kind: str
    policy: str
    told: str


@dataclass(frozen=True)
class TrialEvents:
    """What one trial has recorded.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        key: Its folder in `trials/`.
        steps: That it has in all.
        done: The last step that its history holds; 0 where it holds none.
        events: In the order of steps.
    """

    arm: str
    seed: int
    key: str
    steps: int
    done: int
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Overview:
    """What `composer trace RUN` prints without a step.

    Attributes:
        version: Of this schema.
        run: The run's folder.
        trials: Those that have a ledger.
        suggested: The command that explains the first spike, or else the first event; null where there is none.
    """

    version: int
    run: str
    trials: tuple[TrialEvents, ...]
    suggested: str | None

    def to_json(self) -> dict[str, Any]:
        """This as a JSON value."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """One step as the history has it; null where it has not got so far.

    Attributes:
        step: From 1.
        loss: Of the step.
        usual: Median loss of the steps before it, of 20 at most.
        grad_norm: Before clipping.
        learning_rate: Of the step.
        tokens: That were read.
        seconds: That it took.
    """

    step: int
    loss: float | None
    usual: float | None
    grad_norm: float | None
    learning_rate: float | None
    tokens: int | None
    seconds: float | None


@dataclass(frozen=True)
class TracedRow:
    """One row of the steps asked for; its texts are cut.

    Attributes:
        step: The step that reads it.
        block: The line within the step that it stands in.
        place: Its place in the mixture's data.
        id: Its id.
        category: Its category.
        stratum: Its stratum.
        source: Its source.
        mode: think or no_think.
        tokens: As the model reads it.
        learned: Those of them that have a loss.
        loss: Mean over these; null where the trial has not got so far.
        usual: Median loss of 64 rows of its category at the nearest other steps; null where there is none.
        rejected: Whether the proposed filter throws it out.
        prompt: The last turn of the user.
        thinking: Between <think> and </think>.
        answer: Behind </think>.
    """

    step: int
    block: int
    place: int
    id: str
    category: str
    stratum: str
    source: str
    mode: str
    tokens: int
    learned: int
    loss: float | None
    usual: float | None
    rejected: bool
    prompt: str
    thinking: str
    answer: str


@dataclass(frozen=True)
class Compared:
    """The rows that the steps' rows are compared with.

    Attributes:
        rows: How many.
        tokens: The fewest and the most tokens of these, where steps are made of rows of like length, so that only rows
            of such length can tell anything; null where they are all other rows of the mixture.
        features: How many features were compared; each p-value is corrected for being the best of so many.
    """

    rows: int
    tokens: tuple[int, int] | None
    features: int


@dataclass(frozen=True)
class Cause:
    """A feature, and how well it separates the steps' rows from the others.

    Attributes:
        feature: Its name: `FILTER: REASON`, `category=…`, `source=…`, `stratum=…`, `mode=…`, `repeated`, `tokens`, or
            `hangul_prompt`, `hangul_thinking`, `hangul_answer`, which are shares among letters.
        kind: What it is.
        filter: The filter whose reason it is; null where it is none.
        separated: How well.
        p_corrected: The chance that the best of all features separates rows drawn at random so well, at most
            (Bonferroni).
        stands_out: Whether that is below 0.01.
    """

    feature: str
    kind: Kind
    filter: str | None
    separated: Separation
    p_corrected: float
    stands_out: bool


@dataclass(frozen=True)
class Count:
    """Rows, and how many of them the filter throws out."""

    rows: int
    removed: int


@dataclass(frozen=True)
class Removed(Count):
    """The same of all rows, and of those of each category that the filter is asked of."""

    categories: Mapping[str, Count]


@dataclass(frozen=True)
class Proposal:
    """The filter that would have kept rows out.

    Attributes:
        filter: Its name.
        parameters: Category → its parameters there. It is asked of the categories of the rows that it is meant for, but
            for one of which it would throw out more than a quarter of the other rows.
        yaml: Lines for `filters:` of the pool's config; they hold what is declared there for these categories, too.
        because: The feature that it was found by.
        step: Of the steps' rows.
        mixture: Of the mixture's.
        pool: Of the pool's; null where the pool was not there.
        untold: Why it was not; null where it was.
    """

    filter: str
    parameters: Mapping[str, Mapping[str, Any]]
    yaml: str
    because: str
    step: Removed
    mixture: Removed
    pool: Removed | None
    untold: str | None


@dataclass(frozen=True)
class Trace:
    """What `composer trace RUN step=…` prints.

    Attributes:
        version: Of this schema.
        run: The run's folder.
        arm: The trial's arm.
        seed: Its seed.
        key: Its folder in `trials/`.
        first: The first step asked for.
        last: The last.
        of: The steps that the trial has in all.
        events: What its monitors told of these steps.
        steps: What its history says of them.
        rows: That are in them, the one with most loss over its usual first.
        compared: What they are compared with.
        symptom: How well their losses over what is usual separate them from those that say what is: what is to be
            explained, and so no cause. Null where no loss is known.
        causes: What separates the rows, the best first; all that stand out, and the best where none does.
        proposal: The first of these that a filter answers; null where none does.
    """

    version: int
    run: str
    arm: str
    seed: int
    key: str
    first: int
    last: int
    of: int
    events: tuple[Event, ...]
    steps: tuple[Step, ...]
    rows: tuple[TracedRow, ...]
    compared: Compared
    symptom: Separation | None
    causes: tuple[Cause, ...]
    proposal: Proposal | None

    def to_json(self) -> dict[str, Any]:
        """This as a JSON value."""
        return asdict(self)
