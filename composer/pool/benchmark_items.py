"""The items of benchmarks, as lm-eval's tasks have them: what contamination is looked for by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from composer.config import BenchmarksConfig
from composer.errors import NeedsError
from composer.pool.contamination import Item
from composer.resources import eval_folders


def read_items(benchmarks: Mapping[str, BenchmarksConfig]) -> list[Item]:
    """All items of some options of the group `benchmarks`, each question with its options where it has some.

    Raises:
        NeedsError: They lie on the hub, which cannot be reached or wants its terms accepted.
    """
    return [item for option, config in benchmarks.items() for item in _of(option, config)]


def _of(option: str, config: BenchmarksConfig) -> Iterator[Item]:
    from lm_eval.tasks import TaskManager

    folders = [str(one) for one in eval_folders(config.tasks)]
    names = {name: of.accuracy.task for name, of in config.of.items()}
    manager = TaskManager(include_path=folders, include_defaults=False)
    if not set(names.values()) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folders)
    for name, task_name in names.items():
        try:
            loaded: dict[str, Any] = manager.load_task_or_group(task_name)
        except Exception as error:
            raise NeedsError(
                f"the items of {option}/{name} cannot be read: {error}\nleave {option} out of "
                "pool.contamination.benchmarks, or make its data readable here"
            ) from error
        for task in loaded.values():
            for number, doc in enumerate(task.eval_docs):
                question = doc["question"] if isinstance(doc.get("question"), str) else str(task.doc_to_text(doc))
                options = doc.get("options") or (task.doc_to_choice(doc) if task.config.doc_to_choice is not None else [])
                yield Item(f"{option}/{name}", str(number), (question, *map(str, options)))
