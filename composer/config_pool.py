"""The part of a recipe that says where rows come from, and what is wrong with those that are not taken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from composer.checks import listed, one_of

KINDS = ("mini", "folder", "sources")
DUPLICATES = ("prompt", "row", "near")
NEAR_OF = ("prompt", "row")
NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass
class HubConfig:
    """A data set on the hub, which is streamed."""

    id: str = MISSING  # also a folder that `datasets` reads
    config: str | None = None  # * stands for any letters; rows have it at `{hub.config}`
    split: str = "train"
    revision: str | None = None  # a commit, so that the rows do not change; null: the newest


@dataclass
class NoThinkConfig:
    """Rows that give the answer without its thinking, as a model's switch for it has them."""

    share: float = 0.0  # of the source's rows
    switch: str = " /no_think"  # stands at the end of the question
    tags: bool = False  # whether an empty <think></think> stands before the answer

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this section."""
        if not 0 <= self.share <= 1:
            yield f"{key}.share is {self.share}: it must be in [0, 1]; 0 is none"


@dataclass
class SourceConfig:
    """Files or a hub data set of rows of one kind.

    `category`, `stratum` and `source` are text in which `{path}` stands for what a row has there, as `names` says it,
    and `{path|default}` for the default where it has nothing; `{mode}` in a stratum for `think` or `no_think`.
    """

    files: list[str] = field(default_factory=list)  # paths below `pool.path`; * and ** stand for names
    hub: HubConfig | None = None
    header: list[str] = field(default_factory=list)  # the columns of a CSV file whose first row does not name them
    shape: str = ""  # how columns become messages
    columns: dict[str, str] = field(default_factory=dict)  # what the shape, or a filter, takes → path in a row
    options: dict[str, Any] = field(default_factory=dict)  # of the shape
    category: str = ""
    stratum: str = "all"
    source: str = ""  # what the rows' source is told as; the section's name where empty
    names: dict[str, dict[str, str]] = field(default_factory=dict)  # path → value → how it is written; others: rejected
    where: dict[str, list[str]] = field(default_factory=dict)  # path → the values of rows that are taken
    clean: list[str] = field(default_factory=lambda: ["nfc"])
    filters: dict[str, Any] = field(default_factory=dict)  # filter → its parameters, beside those of the category
    duplicates: list[str] = field(default_factory=lambda: list(DUPLICATES))  # of which kinds its rows may not be
    priority: int = 0  # of rows that say the same that of the highest is kept, then that of the source named first
    no_think: NoThinkConfig = field(default_factory=NoThinkConfig)
    family: str | None = None  # of `pool.families`: what these rows are a version of

    def problems(self, key: str, families: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with this section, the names of shapes and filters aside."""
        if bool(self.files) == (self.hub is not None):
            yield f"{key} has {'files and hub' if self.files else 'neither files nor hub'}: give exactly one of them"
        for kind in self.duplicates:
            yield from one_of(f"{key}.duplicates", kind, DUPLICATES)
        if self.family is not None and not families:
            yield (
                f"{key}.family is {self.family}, and pool.families names none: say which benchmarks have it, as "
                f"pool.families.{self.family}=[OPTION/BENCHMARK], or leave it out"
            )
        elif self.family is not None:
            yield from one_of(f"{key}.family", self.family, sorted(families))
        if "{" not in self.category and not NAME.fullmatch(self.category):
            told = self.category or "not set"
            yield f"{key}.category is {told}: it must be of letters, digits and _, or hold a {{path}}"
        yield from self.no_think.problems(f"{key}.no_think")


@dataclass
class DuplicatesConfig:
    """When rows nearly say the same."""

    near: float = 0.75  # the least Jaccard similarity of two rows' runs of characters
    near_of: str = "row"  # prompt | row
    seed: int = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        yield from one_of("pool.duplicates.near_of", self.near_of, NEAR_OF)
        if not 0.5 <= self.near <= 1:
            yield f"pool.duplicates.near is {self.near}: it must be in [0.5, 1]"


@dataclass
class ItemsConfig:
    """Held-out items in files."""

    files: list[str] = field(default_factory=list)  # paths below `pool.path`; * and ** stand for names
    question: str = "question"  # path in an item
    options: str | None = None  # path of its options, such as choices[].text


@dataclass
class ContaminationConfig:
    """Benchmarks whose items no row may give away."""

    benchmarks: list[str] = field(default_factory=list)  # options of the group `benchmarks`
    files: dict[str, ItemsConfig] = field(default_factory=dict)  # others, by names of their own
    share: float = 0.7  # how much of an item may not stand in a row

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        for name, of in self.files.items():
            if not NAME.fullmatch(name):
                yield f"pool.contamination.files.{name}: the name must be of letters, digits and _"
            if not of.files:
                yield f"pool.contamination.files.{name}.files is empty: name the files, below pool.path"
        if not 0 < self.share <= 1:
            yield f"pool.contamination.share is {self.share}: it must be in (0, 1]"


@dataclass
class PoolConfig:
    """Where rows come from: the mini world, a finished pool's folder, or sources that are curated."""

    name: str = MISSING
    kind: str = ""
    label: str = ""
    rows: int = 0  # mini: how many rows to generate
    seed: int = 0  # mini: which rows
    no_think_share: float = 0.0  # mini: rows of the category no_think, as a share of `rows`, on top of them
    path: str | None = None  # folder: a pool's folder; sources: what their files lie below, or one file
    tokenizer: str = "mini"  # what tokens are counted with: "mini", a folder, or a hub id
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)  # category → filter → its parameters
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    contamination: ContaminationConfig = field(default_factory=ContaminationConfig)
    # What a text is known to be a version of, translated or not → the benchmarks that have it: `OPTION/BENCHMARK`, or
    # names of `contamination.files`. Rows of a source of the family are rejected where one of these is looked for.
    families: dict[str, list[str]] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """What is wrong with this section, the names of shapes and filters aside."""
        yield from one_of("pool.kind", self.kind, KINDS)
        if self.kind == "mini" and self.rows < 1:
            yield f"pool.rows is {self.rows}: it must be a whole number of at least 1"
        if not 0 <= self.no_think_share <= 1:
            yield f"pool.no_think_share is {self.no_think_share}: it must be in [0, 1]; 0 is none"
        if self.kind == "folder" and not self.path:
            yield f"pool.path is not set: pool={self.name} reads it; set pool.path=… or the variable COMPOSER_DATA"
        if self.kind != "sources":
            return
        if not self.sources:
            yield f"pool.sources is empty: pool={self.name} needs one, as conf/pool/local_example.yaml has them"
        for name, source in self.sources.items():
            if not NAME.fullmatch(name):
                yield f"pool.sources.{name}: the name must be of letters, digits and _"
            yield from source.problems(f"pool.sources.{name}", self.families)
        if not self.path and any(source.files for source in self.sources.values()):
            yield f"pool.path is not set: pool={self.name} reads files below it; set pool.path=… or COMPOSER_DATA"
        yield from self._category_problems()
        yield from self.duplicates.problems()
        yield from self.contamination.problems()
        for family, benchmarks in self.families.items():
            if not benchmarks:
                yield f"pool.families.{family} is empty: name the benchmarks that have its items, as OPTION/BENCHMARK"
            for name in benchmarks:
                if "/" not in name:
                    yield from one_of(f"pool.families.{family}", name, ["OPTION/BENCHMARK", *self.contamination.files])

    def _category_problems(self) -> Iterator[str]:
        """Which filters are of no source's category; a source that takes its category from the rows may have any."""
        categories = sorted({source.category for source in self.sources.values()})
        if not any("{" in category for category in categories):
            for category in self.filters:
                if category not in categories:
                    yield f"pool.filters.{category} is of no source: it must be one of {listed(categories)}"
