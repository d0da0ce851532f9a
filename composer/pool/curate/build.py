"""Builds a pool from its sources: shard by shard, then duplicates, then the rows in order. Killed, it goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from omegaconf import OmegaConf

from composer import __version__
from composer.artifacts import digest, file_digest, read_json, write_json
from composer.config_pool import PoolConfig
from composer.errors import ConfigError, PoolError
from composer.pool.benchmark_items import benchmark_problems, families, items_of, read_items
from composer.pool.contamination import Contamination, Item
from composer.pool.curate.building import Told, building
from composer.pool.curate.drivers import Driver, writing
from composer.pool.curate.finish import finish
from composer.pool.curate.parts import Part
from composer.pool.curate.shard import Curator
from composer.pool.curate.tokens import count_tokens
from composer.pool.sources.declared import Source, column_problems, filter_problems, source_problems
from composer.pool.sources.reading import Span
from composer.pool.sources.shards import Shard, files, shards

LAYOUT = 3  # raised when a change makes other pools of the same config and files
# What does not change a pool of sources: where it lies, what it is called to people, and what only the mini pool has.
UNTOLD = ("path", "label", "needs", "rows", "seed", "no_think_share")


@dataclass(frozen=True)
class Work:
    """All that a pool is made of.

    Attributes:
        config: Of the pool.
        made_of: What decides the pool, byte by byte; of the hub, which data sets at which revision.
    """

    config: PoolConfig
    made_of: dict[str, Any]

    @property
    def digest(self) -> str:
        """The hash of what it is made of."""
        return digest(self.made_of)

    @property
    def on_hub(self) -> list[str]:
        """The data sets that are read from the hub."""
        return [of.hub.id for of in self.config.sources.values() if of.hub is not None]


def plan(config: PoolConfig) -> Work:
    """Looks at the sources, reading no row and nothing on the hub.

    Args:
        config: Of kind `sources`.

    Raises:
        ConfigError: A shape, a filter or a parameter is unknown; all problems are listed.
        PoolError: A source has no files, or one of them cannot be read.
    """
    problems = [*config.problems(), *benchmark_problems(config)]
    for name, of in config.sources.items():
        problems += source_problems(f"pool.sources.{name}", of)
    for category, asked in config.filters.items():
        problems += filter_problems(f"pool.filters.{category}", asked)
        for name, of in config.sources.items():
            if of.category == category:
                problems += column_problems(f"pool.filters.{category}", asked, f"pool.sources.{name}", of)
    if problems:
        raise ConfigError(problems)
    below = Path(str(config.path)).expanduser() if config.path else None
    read = {
        name: [[file.relative_to(below).as_posix() if below and below != file else file.name, _digest(file)]
               for file in files(Source(name, of), config.path)]
        for name, of in config.sources.items() if of.hub is None
    }  # fmt: skip
    plain = _plain(config)
    for name in UNTOLD:
        del plain[name]
    made_of = {
        "layout": LAYOUT,
        "config": plain,
        "files": read,
        "items": items_of(config),
        "versions": {"composer": __version__, "pyarrow": pa.__version__},
    }
    return Work(config, made_of)


def build(work: Work, out: Path, drive: Driver, told: Told) -> bool:
    """Builds the pool folder `out`; False where it is there already.

    Args:
        work: What `plan` gave.
        out: Where the pool goes. `.OUT.building` beside it holds what is done so far.
        drive: What runs the shards.
        told: Is told how far it is; or that another process builds the pool, which is waited for.

    Raises:
        OutputError: `out` holds something else.
        PoolError: A source cannot be read to its end, or no row is kept.
        UnfinishedError: The disk is full, or a worker was killed.
        NeedsError: What lies on the hub cannot be reached.
    """
    with writing(), building(out, work.digest, told) as folder:
        if folder is None:
            return False
        if not (folder / "pool.json").exists():  # else it was killed between its last step and its new name
            asked = _asked(work, folder, told)
            _shards(asked, folder, work.digest, drive, told)
            parts, sources = _done(work, asked, folder)
            facts = {"sources": sources, "made_of": work.digest, "files": work.made_of["files"]}
            finish(folder, work.config, parts, {**facts, "benchmarks": asked["benchmarks"]}, drive, told)
    return True


def _asked(work: Work, folder: Path, told: Told) -> dict[str, Any]:
    """What all shards are curated by: found out once, so that what goes on later goes on with the same."""
    path = folder / "asked.json"
    if not path.exists():
        told("looking at the sources", 0, 1)
        items = read_items(work.config)
        found = shards([Source(name, of) for name, of in work.config.sources.items()], work.config.path)
        write_json(path, {
            "config": _plain(work.config),
            "families": families(work.config),
            "benchmarks": dict(Counter(item.benchmark for item in items)),
            "items": [[item.benchmark, item.id, list(item.parts)] for item in items],
            "shards": [asdict(shard) for shard in found],
        })  # fmt: skip
    asked: dict[str, Any] = read_json(path)
    return asked


def _shards(asked: Mapping[str, Any], folder: Path, made_of: str, drive: Driver, told: Told) -> None:
    every = [Shard(**{**one, "span": Span(**one["span"])}) for one in asked["shards"]]
    left = [shard for shard in every if not (folder / "done" / f"{shard.number:06d}.json").exists()]
    at = len(every) - len(left)
    told("curating", at, len(every))

    def advance() -> None:
        nonlocal at
        at += 1
        told("curating", at, len(every))

    drive(partial(_curate, folder, made_of), left, advance)


def _curate(folder: Path, made_of: str, shard: Shard) -> None:
    _curator(folder, made_of).shard(shard, folder)


@cache
def _curator(folder: Path, made_of: str) -> Curator:
    """What curates the pool that is built in a folder, which may later be one that is made of something else."""
    asked = read_json(folder / "asked.json")
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PoolConfig), asked["config"]))
    assert isinstance(config, PoolConfig)
    items = [Item(benchmark, name, tuple(parts)) for benchmark, name, parts in asked["items"]]
    found = Contamination(items, config.contamination.share) if items else None
    return Curator(config, partial(count_tokens, config.tokenizer), found, asked["families"])


def _done(work: Work, asked: Mapping[str, Any], folder: Path) -> tuple[list[Part], dict[str, Any]]:
    """The parts of all shards, in order, and what was read and thrown out by source."""
    parts = list[Part]()
    sources: dict[str, Any] = {name: {"read": 0, "rejects": Counter[str]()} for name in work.config.sources}
    for number in range(len(asked["shards"])):
        done = read_json(folder / "done" / f"{number:06d}.json")
        of = sources[done["source"]]
        of["read"] += done["read"]
        of["rejects"].update(done["rejects"])
        parts += [Part(folder / "parts" / f"{number:06d}-{at:04d}.rows.arrow") for at in range(done["parts"])]
    return parts, sources


def _digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise PoolError(f"{file} cannot be read: {error}") from error


def _plain(config: PoolConfig) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain
