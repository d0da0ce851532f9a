"""KMMLU-Redux's items: `question`, `options`, the letter of the `answer`, and a `response` for likelihoods."""

from __future__ import annotations

from typing import Any

from composer.answers.replies import LETTERS
from composer.trial.benchmark_items import as_test_split, rows


def items(dataset: str, mode: str, **_: Any) -> dict[str, Any]:
    """The items; a row holds `question`, `options` and the answer's number from 1 in `solution` or `answer`."""
    return as_test_split([_item(row, mode) for row in rows(dataset)])


def _item(row: dict[str, Any], mode: str) -> dict[str, Any]:
    answer = LETTERS[int(row["solution"] if "solution" in row else row["answer"]) - 1]
    return {
        "question": row["question"].strip(),
        "options": [str(option).strip() for option in row["options"]],
        "answer": answer,
        "response": f"정답: {answer}",
        "mode": mode,
    }
