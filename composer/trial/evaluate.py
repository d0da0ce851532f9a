"""Evaluation through lm-eval's Python API, with the result of every item kept."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from composer.errors import TrialError
from composer.trial.backends import language_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ITEMS_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("filter", pa.string()),
        ("metric", pa.string()),
        ("doc_id", pa.int64()),
        ("doc_hash", pa.string()),
        ("value", pa.float64()),
        ("prompt", pa.string()),  # what was asked, as the model read it
        ("target", pa.string()),  # the gold answer
        ("response", pa.string()),  # what a generated answer said; null for a likelihood
    ]
)


@dataclass(frozen=True)
class Evaluation:
    """Scores by task and "metric,filter", one row per item, filter and metric (`ITEMS_SCHEMA`), and each task's size.

    Sizes are without the limit.
    """

    scores: dict[str, dict[str, float]]
    items: pa.Table
    sizes: dict[str, int]


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[str],
    folder: Path | Sequence[Path],
    batch_size: int,
    limit: int | None,
    backend: str = "hf",
) -> Evaluation:
    """Evaluates `model` on lm-eval `tasks`, which are declared in `folder` (or several) or ship with lm-eval.

    The random state is left as it was: lm-eval seeds it, and a model that is evaluated may still be trained.

    A task that declares `mode` in its metadata, `think` or `no_think`, is asked with the chat template's
    `enable_thinking` set to match; templates that know no such switch leave it unread.

    Raises:
        TrialError: lm-eval does not know a task.
        NeedsError: The backend is not installed.
    """
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    model.eval()
    folders = [str(one) for one in ([folder] if isinstance(folder, Path) else folder)]
    manager = TaskManager(include_path=folders, include_defaults=False)
    if not set(tasks) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folders)  # reads all of lm-eval's own tasks, some seconds
    if unknown := sorted(set(tasks) - set(manager.all_tasks)):
        declared = ", ".join(folders)
        raise TrialError(f"lm-eval knows no task {', '.join(unknown)}: neither {declared} nor lm-eval declares it")
    scores: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    with _quiet(), _random_state_kept(), language_model(backend, model, tokenizer, batch_size) as lm:
        for mode, of_mode in _by_mode(manager, tasks).items():
            lm.set_mode(mode)
            results = simple_evaluate(
                model=lm,
                tasks=of_mode,
                task_manager=manager,
                apply_chat_template=True,
                log_samples=True,
                bootstrap_iters=0,
                limit=limit,
            )
            if results is None:
                raise TrialError("lm-eval returned no results: evaluation runs on the first process only")
            for task, found in results["results"].items():
                numbers = {name: value for name, value in found.items() if "," in name}
                scores[task] = {name: float(one) for name, one in numbers.items() if isinstance(one, float | int)}
            sizes |= {task: int(of["original"]) for task, of in results["n-samples"].items()}
            rows += [row for task, samples in results["samples"].items() for one in samples for row in _rows(task, one)]
    return Evaluation(scores, pa.Table.from_pylist(rows, ITEMS_SCHEMA), sizes)


def _by_mode(manager: Any, tasks: Sequence[str]) -> dict[str | None, list[str]]:
    """The tasks by the mode that their metadata declares, those without one first."""
    found: dict[str | None, list[str]] = {}
    for task in tasks:
        metadata = (manager.task_index[task].cfg or {}).get("metadata")
        mode = metadata.get("mode") if isinstance(metadata, dict) else None
        found.setdefault(mode, []).append(task)
    return dict(sorted(found.items(), key=lambda one: one[0] or ""))


def _rows(task: str, sample: dict[str, Any]) -> list[dict[str, Any]]:
    said = sample["resps"][0][0]
    return [
        {
            "task": task,
            "filter": sample["filter"],
            "metric": metric,
            "doc_id": sample["doc_id"],
            "doc_hash": sample["doc_hash"],
            "value": float(sample[metric]),
            "prompt": str(sample["arguments"][0][0]),
            "target": str(sample["target"]),
            "response": said if isinstance(said, str) else None,
        }
        for metric in sample["metrics"]
    ]


@contextlib.contextmanager
def _random_state_kept() -> Any:
    plain, of_numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        yield
    random.setstate(plain)
    np.random.set_state(of_numpy)


@contextlib.contextmanager
def _quiet() -> Any:
    """Keeps lm-eval's progress bars off a trial's output, which is its record of progress."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(sys.stderr):
        yield
