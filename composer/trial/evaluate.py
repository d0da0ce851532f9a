"""Evaluation through lm-eval's Python API, with the result of every item kept."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from composer.errors import TrialError

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
    """Scores by task and "metric,filter", and one row per item, filter and metric (`ITEMS_SCHEMA`)."""

    scores: dict[str, dict[str, float]]
    items: pa.Table


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[str],
    folder: Path,
    batch_size: int,
    limit: int | None,
) -> Evaluation:
    """Evaluates `model` on lm-eval `tasks`, which are declared in `folder` or ship with lm-eval.

    Raises:
        TrialError: lm-eval does not know a task.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model.eval()
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    if not set(tasks) <= set(manager.all_tasks):
        manager = TaskManager(include_path=str(folder))  # reads all of lm-eval's own tasks, some seconds
    if unknown := sorted(set(tasks) - set(manager.all_tasks)):
        raise TrialError(f"lm-eval knows no task {', '.join(unknown)}: neither {folder} nor lm-eval declares it")
    with _quiet():
        lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=tokenizer.model_max_length)
        results = simple_evaluate(
            model=lm,
            tasks=list(tasks),
            task_manager=manager,
            apply_chat_template=True,
            log_samples=True,
            bootstrap_iters=0,
            limit=limit,
        )
    if results is None:
        raise TrialError("lm-eval returned no results: evaluation runs on the first process only")
    rows = [row for task, samples in results["samples"].items() for sample in samples for row in _rows(task, sample)]
    scores = {
        task: {name: float(value) for name, value in found.items() if "," in name and isinstance(value, float | int)}
        for task, found in results["results"].items()
    }
    return Evaluation(scores, pa.Table.from_pylist(rows, ITEMS_SCHEMA))


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
def _quiet() -> Any:
    """Keeps lm-eval's progress bars off a trial's output, which is its record of progress."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(sys.stderr):
        yield
