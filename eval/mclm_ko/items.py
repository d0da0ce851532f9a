"""MCLM's items in one language: the problem, its answer, and which part it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.trial.benchmark_items import as_test_split, part_key, rows


def items(dataset: str, parts: Sequence[str], language: str, mode: str, **_: Any) -> dict[str, Any]:
    """The items of all parts; a row holds the problem in a column named after its language, and `answer`."""
    return as_test_split(
        [
            {
                "question": row[language].strip(),
                "answer": str(row["answer"]).strip(),
                "response": f"\\boxed{{{str(row['answer']).strip()}}}",
                "part": part_key(part),
                "mode": mode,
            }
            for part in parts
            for row in rows(dataset, part)
        ]
    )
