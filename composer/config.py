"""Typed configuration: what a recipe may say, and the checks that need nothing but the value itself.

Every class lists its problems rather than raising at the first, so that a user sees all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from omegaconf import MISSING

from composer.checks import listed, one_of
from composer.config_designs import ClaimConfig, DesignConfig
from composer.config_pool import PoolConfig
from composer.config_search import SearchConfig
from composer.config_trainer import TrainerConfig, plain_settings

BY = ("share", "rows", "tokens")
SHORTAGE = ("error", "repeat", "redistribute")
REST = ("rescaled", "fixed")
OPERATIONS = ("drop", "replace", "resize", "scale", "set", "share")
DTYPES = ("float32", "bfloat16")
EVAL_BACKENDS = ("hf", "vllm")
ITEMS = ("fixed", "random")
CORRECTIONS = ("holm", "benjamini_hochberg")
SHARE_TOLERANCE = 1e-6


@dataclass
class EditConfig:
    """One change to a mixture's realised counts; exactly one operation.

    `drop` a category; `replace` one category by another at the same count; `resize` to so many rows or `scale` by a
    factor, shares kept; `set` a category's rows or its `share` of the result, the rest `fixed` (the mixture grows or
    shrinks) or `rescaled` (its size stays).
    """

    drop: str | None = None
    replace: dict[str, str] | None = None
    resize: int | None = None
    scale: float | None = None
    set: dict[str, int] | None = None
    share: dict[str, float] | None = None
    rest: str = "rescaled"

    @property
    def operation(self) -> str:
        """The name of the operation this edit holds."""
        return next(name for name in OPERATIONS if getattr(self, name) is not None)

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this edit, found at `key`."""
        given = [name for name in OPERATIONS if getattr(self, name) is not None]
        if len(given) != 1:
            yield f"{key} holds {listed(given) or 'no operation'}: an edit is exactly one of {listed(OPERATIONS)}"
        yield from one_of(f"{key}.rest", self.rest, REST)
        if self.resize is not None and self.resize < 1:
            yield f"{key}.resize is {self.resize}: it must be a number of rows of at least 1"
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            yield f"{key}.scale is {self.scale}: it must be a finite number above 0"
        for category, rows in (self.set or {}).items():
            if rows < 0:
                yield f"{key}.set.{category} is {rows}: it must be a number of rows of at least 0"
        for category, share in (self.share or {}).items():
            if not (math.isfinite(share) and 0 <= share < 1):
                yield f"{key}.share.{category} is {share}: it must be a share in [0, 1)"
        for old, new in (self.replace or {}).items():
            if old == new:
                yield f"{key}.replace.{old} is {new}: a category is replaced by another one"


@dataclass
class MixtureConfig:
    """Quotas, size and seed: together a definite list of rows of a pool."""

    by: str = "share"
    size: int | None = None  # rows; only with `by: share`
    quotas: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    edits: dict[str, EditConfig] = field(default_factory=dict)
    shortage: str = "error"
    max_repeats: int = 4  # how often one row may stand in the mixture under `shortage: repeat`
    proxy_of: int | None = None  # under `shortage: repeat`: rows of the mixture whose repetition this one matches

    def problems(self) -> Iterator[str]:
        """What is wrong with this section, the pool aside."""
        yield from one_of("mixture.by", self.by, BY)
        yield from one_of("mixture.shortage", self.shortage, SHORTAGE)
        if not self.quotas:
            yield "mixture.quotas is empty: give at least one category, as mixture.quotas.CATEGORY=…"
        for category, quota in self.quotas.items():
            if not math.isfinite(quota) or quota < 0:
                yield f"mixture.quotas.{category} is {quota}: it must be a finite number of at least 0"
            elif self.by != "share" and quota != int(quota):
                yield f"mixture.quotas.{category} is {quota}: with mixture.by={self.by} it must be a whole number"
        yield from self._size_problems()
        if self.seed < 0 or self.seed >= 2**63:
            yield f"mixture.seed is {self.seed}: it must be in [0, 2^63)"
        if self.max_repeats < 1:
            yield f"mixture.max_repeats is {self.max_repeats}: it must be at least 1"
        if self.proxy_of is not None and self.proxy_of < 1:
            yield f"mixture.proxy_of is {self.proxy_of}: it must be a number of rows of at least 1, or null"
        for name, edit in self.edits.items():
            yield from edit.problems(f"mixture.edits.{name}")

    def _size_problems(self) -> Iterator[str]:
        total = math.fsum(self.quotas.values())
        if self.by == "share":
            if self.size is None or self.size < 1:
                yield f"mixture.size is {self.size}: with mixture.by=share it must be a number of rows of at least 1"
            if self.quotas and math.isfinite(total) and abs(total - 1) > SHARE_TOLERANCE:
                yield f"mixture.quotas sum to {total:g}: shares must sum to 1 (or set mixture.by to rows or tokens)"
        elif self.size is not None:
            yield f"mixture.size is {self.size}: the quotas give the size under by={self.by}; set mixture.size=null"
        if self.by in {"rows", "tokens"} and self.quotas and total == 0:
            yield f"mixture.quotas sum to 0: with mixture.by={self.by} at least one must be above 0"


@dataclass
class ModelConfig:
    """The model that trials start from: the packaged `mini` base, a folder, or a hub id."""

    name: str = MISSING
    path: str = MISSING  # "mini", a folder, or a hub id
    label: str = ""
    revision: str | None = None
    dtype: str = "float32"
    parameters: int = 0
    tokens_per_second: float = 0.0  # of one worker in training, as far as known: what `composer plan` reckons with
    needs: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        yield from one_of("model.dtype", self.dtype, DTYPES)


@dataclass
class MetricConfig:
    """Where a score is found in lm-eval's output, and which way is better."""

    task: str = MISSING
    metric: str = MISSING
    filter: str = "none"
    higher_is_better: bool = True


@dataclass
class BenchmarkConfig:
    """One benchmark: its accuracy, and a smooth score of the same items."""

    label: str = MISSING
    accuracy: MetricConfig = field(default_factory=MetricConfig)
    smooth: MetricConfig | None = None
    items: int | None = None  # how many there are: what `composer plan` reckons power with


@dataclass
class NoiseConfig:
    """How a gain between two arms scatters, accuracy as a fraction: what `composer plan` reckons power with."""

    seed_sd: float = MISSING  # from seed to seed, on any number of items
    item_sd: float = MISSING  # from item to item, with any number of seeds
    residual_sd: float = MISSING  # what is left of one item's difference with one seed
    source: str = MISSING  # where these numbers come from, in words


@dataclass
class BenchmarksConfig:
    """The benchmarks of a recipe, each read from an lm-eval task."""

    name: str = MISSING
    tasks: str = MISSING  # folders of lm-eval tasks below `eval/`, or paths, with commas between them
    of: dict[str, BenchmarkConfig] = field(default_factory=dict)
    batch_size: int = 64
    eval_backend: str = "hf"  # what generates: transformers, or vllm (an extra, for GPUs)
    limit: int | None = None  # items a task, for a quick look; null is all
    seconds: float = 0.0  # of one evaluation and its start, as far as known: what `composer plan` reckons with
    noise: dict[str, NoiseConfig] = field(default_factory=dict)  # by benchmark, until a run has measured it
    needs: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        for name, noise in self.noise.items():
            for part in ("seed_sd", "item_sd", "residual_sd"):
                if not 0 <= getattr(noise, part) < math.inf:
                    yield f"benchmarks.noise.{name}.{part} is {getattr(noise, part)}: it must be finite, at least 0"
        yield from one_of("benchmarks.eval_backend", self.eval_backend, EVAL_BACKENDS)
        if self.batch_size < 1:
            yield f"benchmarks.batch_size is {self.batch_size}: it must be at least 1"
        if self.limit is not None and self.limit < 1:
            yield f"benchmarks.limit is {self.limit}: it must be at least 1, or null for all items"


@dataclass
class ArmConfig:
    """One arm: the study's mixture, or another recipe's, at the study's size and seed, with further edits."""

    label: str = ""
    recipe: str | None = None
    edits: dict[str, EditConfig] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)  # settings that this arm alone has, beside those of `trainer`

    def problems(self, key: str, trainer: TrainerConfig) -> Iterator[str]:
        """What is wrong with this arm's own settings, found at `key`."""
        known = plain_settings()
        if unknown := [name for name in self.trainer if name not in known]:
            yield f"{key}.trainer names {listed(unknown)}: it must be of {listed(known)}"
            return
        for name, value in self.trainer.items():
            if not isinstance(value, known[name]):
                kinds = listed(kind.__name__.replace("NoneType", "null") for kind in known[name])
                yield f"{key}.trainer.{name} is {value!r}: it must be of the type {kinds}"
                return
        yield from (f"{key}: {problem}" for problem in replace(trainer, **self.trainer).problems())


@dataclass
class ComparisonConfig:
    """A pair of arms to compare beside the baseline."""

    arm: str = MISSING
    against: str = MISSING


@dataclass
class StudyConfig:
    """Which arms are trained, how often, and what is compared with what."""

    name: str = ""
    label: str = ""
    seeds: int = 1
    baseline: str | None = None
    arms: dict[str, ArmConfig] = field(default_factory=dict)
    comparisons: dict[str, ComparisonConfig] = field(default_factory=dict)
    designs: dict[str, DesignConfig] = field(default_factory=dict)  # each adds its arms to those above
    claims: dict[str, ClaimConfig] = field(default_factory=dict)  # what the report shows beside the verdicts
    search: SearchConfig | None = None  # proposes further arms; null: none

    def problems(self) -> Iterator[str]:
        """What is wrong with this section, its claims aside."""
        if self.seeds < 1:
            yield f"study.seeds is {self.seeds}: it must be at least 1"
        for name, design in self.designs.items():
            yield from design.problems(f"study.designs.{name}")
        if not self.designs:
            yield from self.arm_problems(self.arms)

    def arm_problems(self, arms: Collection[str]) -> Iterator[str]:
        """What names an arm that is not one of `arms`, those of the designs among them."""
        named = [("study.baseline", self.baseline)]
        for name, pair in self.comparisons.items():
            named += [(f"study.comparisons.{name}.{side}", getattr(pair, side)) for side in ("arm", "against")]
            if pair.arm == pair.against:
                yield f"study.comparisons.{name} compares {pair.arm} with itself: name two arms"
        for name, claim in self.claims.items():
            named += [(f"study.claims.{name}.{side}", getattr(claim, side)) for side in ("arm", "against")]
        for key, arm in named:
            if arm is not None and arm not in arms:
                yield f"{key} is {arm}: it must be one of the arms {listed(arms)}"


@dataclass
class FindingsConfig:
    """How gains are judged. Nothing here changes a trial: `composer run` again judges the same trials anew."""

    level: float = 0.95
    items: str = "fixed"  # the gain on these items, or, as random, on items like these
    margin: float | None = None  # accuracy, as a fraction: gains within ±margin count as none; null: not tested
    smooth_margin: float | None = None  # the same for the smooth score, in its unit
    correction: str = "holm"
    power: float = 0.8  # the chance of a finding that `composer plan` reckons with
    detect: float | None = None  # accuracy, as a fraction: `composer plan` says how many seeds a gain of this takes
    reference: str | None = None  # a finished run of the same arms at another fidelity; null: none
    pilot: str | None = None  # a finished run, whose noise `composer plan` reckons with; null: the declared one

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        yield from one_of("findings.items", self.items, ITEMS)
        yield from one_of("findings.correction", self.correction, CORRECTIONS)
        if not 0.5 <= self.power < 1:
            yield f"findings.power is {self.power}: it must be in [0.5, 1)"
        if self.detect is not None and not 0 < self.detect < 1:
            yield f"findings.detect is {self.detect}: accuracy is a fraction, so 2 points are 0.02"
        if not 0.5 <= self.level < 1:
            yield f"findings.level is {self.level}: it must be in [0.5, 1)"
        for name in ("margin", "smooth_margin"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                yield f"findings.{name} is {value}: it must be a finite number above 0, or null for no such test"
        if self.margin is not None and self.margin >= 1:
            yield f"findings.margin is {self.margin}: accuracy is a fraction, so 3 points are 0.03"


@dataclass
class LauncherConfig:
    """How trials share the machine, and what curates pools. Nothing here changes a result."""

    kind: str = "local"  # local | ray: curates pools on the machines of a Ray cluster
    workers: int = 2  # trials at a time; they take the machine's GPUs in turn, and share them where there are fewer
    threads: int = 1
    processes: int = 1  # of a trial, each with a GPU of its own where there are some
    launch: str = ""  # a command that starts a trial's processes, such as accelerate launch --config_file cluster.yaml

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        yield from one_of("launcher.kind", self.kind, ("local", "ray"))
        for name in ("workers", "threads", "processes"):
            if getattr(self, name) < 1:
                yield f"launcher.{name} is {getattr(self, name)}: it must be at least 1"


@dataclass
class Config:
    """A whole recipe."""

    pool: PoolConfig = field(default_factory=PoolConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    benchmarks: BenchmarksConfig = field(default_factory=BenchmarksConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    findings: FindingsConfig = field(default_factory=FindingsConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    out: str | None = None

    def problems(self) -> list[str]:
        """Everything that is wrong with the recipe and can be seen without its pool."""
        sections = (getattr(self, f.name) for f in fields(self))
        found = [problem for section in sections if is_dataclass(section) for problem in _problems(section)]
        for name, claim in self.study.claims.items():
            found += claim.problems(f"study.claims.{name}", self.benchmarks.of, self.study.designs)
        if self.trainer.sharding != "none" and self.launcher.processes == 1 and not self.launcher.launch:
            found.append(
                f"trainer.sharding is {self.trainer.sharding} and launcher.processes is 1: weights are spread over "
                "processes; set launcher.processes to a trial's GPUs, or trainer.sharding=none"
            )
        if self.trainer.stopping.every_tokens and not any(of.smooth for of in self.benchmarks.of.values()):
            found.append(
                "trainer.stopping.every_tokens is set, and no benchmark has a smooth score, by which training would "
                "end: give one at benchmarks.of.NAME.smooth, or set trainer.stopping.every_tokens=0"
            )
        for name, arm in self.study.arms.items():
            found += arm.problems(f"study.arms.{name}", self.trainer)
        if self.study.search is not None:
            found += self.study.search.problems(self.mixture.quotas, self.benchmarks.of, self.mixture.size)
            varied = {name: of for name, of in self.study.search.trainer.items() if name in plain_settings()}
            for name, of in varied.items():
                for choice in of.choices:
                    found += ArmConfig(trainer={name: choice}).problems("study.search", self.trainer)
            if self.study.designs:
                found.append("study has designs and a search: run them as two recipes; the search starts from its arms")
        return found


def _problems(section: Any) -> Iterator[str]:
    yield from section.problems()
