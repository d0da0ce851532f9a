"""HRM8K's items: the problem in Korean, its answer, and which part it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.trial.benchmark_items import as_test_split, part_key, rows


def items(dataset: str, parts: Sequence[str], mode: str, **_: Any) -> dict[str, Any]:
    """The items of all parts; a row holds `question` and `answer`, which is often a number written as a float."""
    return as_test_split([_item(row, part, mode) for part in parts for row in rows(dataset, part)])


def _item(row: dict[str, Any], part: str, mode: str) -> dict[str, Any]:
    answer = str(row["answer"]).strip().removesuffix(".0")
    return {
        "question": row["question"].strip(),
        "answer": answer,
        "response": f"\\boxed{{{answer}}}",
        "part": part_key(part),
        "mode": mode,
    }
