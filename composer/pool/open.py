"""Opens the pool that a config names, building it first where it is generated or read from files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from composer.artifacts import digest, file_digest
from composer.checks import listed
from composer.config_pool import PoolConfig
from composer.errors import ConfigError, NeedsError, PoolError, RequestError
from composer.mini import rows as mini_rows
from composer.pool.build import Row, build_pool
from composer.pool.curate.tokens import count_tokens
from composer.pool.store import Pool
from composer.resources import base_model, cache_folder

if TYPE_CHECKING:
    from composer.pool.curate.build import Work

# Raised when a change to the generators, the tokeniser or the layout makes other pools of the same config.
LAYOUT = 3

Progress = Callable[[str, int, int | None], None]  # what is being done, how much of it is done, of how much


def open_pool(config: PoolConfig, progress: Progress | None = None) -> Pool:
    """Opens a pool; a generated pool, or one from files, is built in the cache once and kept.

    Raises:
        PoolError: The folder or the files are not what they must be.
        NeedsError: A source lies on the hub, and the pool was not built here yet.
    """
    if config.kind == "folder":
        return Pool.open(_place(config))
    if config.kind == "mini":
        return _built_mini(config, progress)
    from composer.pool.curate.build import build, plan
    from composer.pool.curate.drivers import local

    work = plan(config)
    path = cached(work)
    if not (path / "pool.json").exists():
        if work.on_hub:
            raise NeedsError(
                f"pool={config.name} is not built here yet, and needs the network, which reads {listed(work.on_hub)}: "
                f"build it once by composer pool pool={config.name}, or give a finished one by pool=folder pool.path=…"
            )
        build(work, path, local(1), progress or _silent)
    return Pool.open(path)


def pool_here(config: PoolConfig) -> Pool | None:
    """The pool that a config names, if it lies on this machine; None where it would have to be built, or cannot be."""
    try:
        return Pool.open(_place(config))
    except (ConfigError, PoolError):
        return None


def open_built(config: PoolConfig, out: Path | None) -> Pool:
    """Opens a pool that is built already, in `out` or in the cache.

    Raises:
        RequestError: It is not.
    """
    path = out or _place(config)
    if config.kind != "folder" and not (path / "pool.json").exists():
        raise RequestError(
            f"pool={config.name} is not built in {path}: build it by `composer pool`, or {which_folder()}"
        )
    return Pool.open(path)


def which_folder() -> str:
    """Asks for the folder of a pool, and names those in the cache."""
    found = [str(one.parent) for one in sorted((cache_folder() / "pools").glob("*/pool.json"))]
    return "\n  ".join(["give the folder of a pool" + (", such as one of these:" if found else ""), *found])


def _place(config: PoolConfig) -> Path:
    """Where a pool lies, or will once it is built without `out`."""
    if config.kind == "folder":
        return Path(str(config.path)).expanduser()
    if config.kind == "mini":
        return _cached_mini(config)
    from composer.pool.curate.build import plan

    return cached(plan(config))


def cached(work: Work) -> Path:
    """Where a pool of sources is kept that is built without `out`."""
    return cache_folder() / "pools" / f"{work.config.name}-{work.digest[:16]}"


def _silent(told: str, done: int, total: int | None) -> None:
    """Tells nobody."""


def _cached_mini(config: PoolConfig) -> Path:
    base = file_digest(base_model() / "tokenizer.json")
    told = ["mini", LAYOUT, config.rows, config.seed, base, *([config.no_think_share] if config.no_think_share else [])]
    return cache_folder() / "pools" / f"{config.name}-{config.rows}-{digest(told)[:16]}"


def _built_mini(config: PoolConfig, progress: Progress | None) -> Pool:
    path = _cached_mini(config)
    if not (path / "pool.json").exists():
        said = (lambda done: progress(f"building pool {config.name}", done, None)) if progress else None
        build_pool(path, config.name, _mini(config), partial(count_tokens, config.tokenizer), said)
    return Pool.open(path)


def _mini(config: PoolConfig) -> Iterator[Row]:
    """Distinct rows of each category, by the mini pool's shares; those without thinking come on top of `rows`."""
    for category, share in {**mini_rows.SHARES, mini_rows.NO_THINK: config.no_think_share}.items():
        wanted, seen = round(config.rows * share), set[str]()
        stream = mini_rows.draw(category, config.seed)
        # A category may hold fewer distinct rows than asked: then the pool has all that turn up in many draws.
        for stratum, prompt, response, _ in itertools.islice(stream, 20 * wanted + 1000):
            row = Row((("user", prompt), ("assistant", response)), category, stratum, f"mini/{category}")
            if row.id not in seen:
                if len(seen) == wanted:
                    break
                seen.add(row.id)
                yield row
