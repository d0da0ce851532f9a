"""The items of benchmarks, of lm-eval's tasks or in files: what contamination is looked for by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from composer.artifacts import file_digest
from composer.checks import one_of
from composer.config import BenchmarksConfig
from composer.config_pool import ItemsConfig, PoolConfig
from composer.errors import NeedsError
from composer.pool.contamination import Item
from composer.pool.sources.columns import Column
from composer.pool.sources.reading import read
from composer.pool.sources.shards import matching
from composer.resources import eval_folders, option_file, options


def benchmark_problems(config: PoolConfig) -> Iterator[str]:
    """What is wrong with the benchmarks that a pool's config names as OPTION or OPTION/BENCHMARK."""
    for option in config.contamination.benchmarks:
        yield from one_of("pool.contamination.benchmarks", option, options("benchmarks"))
    for family, names in config.families.items():
        for name in names:
            option, separator, _ = name.partition("/")
            if separator and option not in options("benchmarks"):
                yield from one_of(f"pool.families.{family}", name, [f"{one}/…" for one in options("benchmarks")])
            elif separator:
                yield from one_of(f"pool.families.{family}", name, [f"{option}/{one}" for one in declared(option).of])


def looked_for(config: PoolConfig) -> list[str]:
    """The names of the benchmarks that a pool's rows may not give away.

    Raises:
        ConfigError: There is no such option of benchmarks.
    """
    options = {option: declared(option) for option in config.contamination.benchmarks}
    return [*(f"{option}/{name}" for option, of in options.items() for name in of.of), *config.contamination.files]


def families(config: PoolConfig) -> dict[str, str]:
    """Family of sources → the benchmarks that have it, of those that are looked for."""
    names = looked_for(config)
    found = {family: [name for name in of if name in names] for family, of in config.families.items()}
    return {family: ", ".join(of) for family, of in found.items() if of}


def declared(option: str) -> BenchmarksConfig:
    """An option of the group `benchmarks`.

    Raises:
        ConfigError: There is none of that name.
    """
    loaded = OmegaConf.load(option_file("benchmarks", option))
    found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(BenchmarksConfig), loaded))
    assert isinstance(found, BenchmarksConfig)
    return found


def items_of(config: PoolConfig) -> dict[str, Any]:
    """What decides the items, as a pool's digest has it; nothing is fetched.

    Raises:
        PoolError: Files of items are not there.
    """
    asked = config.contamination
    if not asked.benchmarks and not asked.files:
        return {}
    return {
        "benchmarks": {option: asdict(declared(option)) for option in asked.benchmarks},
        "files": {name: [file_digest(file) for file in _files(config, name, of)] for name, of in asked.files.items()},
        "lm_eval": version("lm_eval") if asked.benchmarks else None,
    }


def read_items(config: PoolConfig) -> list[Item]:
    """All items, each question with its options where it has some.

    Raises:
        PoolError: Files of items cannot be read.
        NeedsError: Items lie on the hub, which cannot be reached or wants its terms accepted.
    """
    of_tasks = (item for option in config.contamination.benchmarks for item in _of_tasks(option, declared(option)))
    of_files = (item for name, of in config.contamination.files.items() for item in _of_files(config, name, of))
    return [*of_tasks, *of_files]


def _files(config: PoolConfig, name: str, of: ItemsConfig) -> list[Path]:
    return matching(of.files, Path(str(config.path)).expanduser(), f"pool.contamination.files.{name}")


def _of_files(config: PoolConfig, name: str, of: ItemsConfig) -> Iterator[Item]:
    columns = {"question": Column(of.question)}
    if of.options is not None:
        columns["options"] = Column(of.options, "texts")
    for file in _files(config, name, of):
        for raw in read(file, columns):
            options = raw.table["options"].to_pylist() if of.options is not None else [()] * len(raw.table)
            told = zip(raw.lines.tolist(), raw.table["question"].to_pylist(), options, strict=True)
            for line, question, choices in told:
                parts = (question or "", *(one or "" for one in choices or ()))
                yield Item(name, f"{file.name}:{line}", parts)


def _of_tasks(option: str, config: BenchmarksConfig) -> Iterator[Item]:
    from lm_eval.tasks import TaskManager

    folders = [str(one) for one in eval_folders(config.tasks)]
    names = {name: of.accuracy.task for name, of in config.of.items()}
    manager = TaskManager(include_path=folders, include_defaults=False)
    if not set(names.values()) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folders)
    for name, task_name in names.items():
        try:
            loaded: dict[str, Any] = manager.load([task_name])["tasks"]
        except Exception as error:
            raise NeedsError(
                f"the items of {option}/{name} cannot be read: {error}\nleave {option} out of "
                "pool.contamination.benchmarks, or make its data readable here"
            ) from error
        for task in loaded.values():
            for number, doc in enumerate(task.eval_docs):
                question = doc["question"] if isinstance(doc.get("question"), str) else str(task.doc_to_text(doc))
                listed = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else []
                yield Item(f"{option}/{name}", str(number), (question, *map(str, doc.get("options") or listed)))
