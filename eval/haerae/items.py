"""HAE-RAE Bench's items: the question with its options, the letter of the answer, and which part it is of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from composer.trial.benchmark_items import as_test_split, part_key, rows

_OPTION = re.compile(r"^\W*\(([A-E])\)[ \t]*(.*)$", re.MULTILINE)
_CUE = re.compile(r"\n[#\s]*정답\s*:?\s*$")  # the end of a query, where a base model would go on with the letter


def items(dataset: str, parts: Sequence[str], mode: str, **_: Any) -> dict[str, Any]:
    """The items of all parts; a row holds `query`, options and all, and `answer` as "(B)"."""
    return as_test_split([_item(row, part, mode) for part in parts for row in rows(dataset, part)])


def _item(row: dict[str, Any], part: str, mode: str) -> dict[str, Any]:
    question = _CUE.sub("", row["query"]).strip()
    answer = row["answer"].strip().strip("()")
    return {
        "question": question,
        "options": [words.strip() for _, words in sorted(_OPTION.findall(question))],
        "answer": answer,
        "response": f"정답: {answer}",
        "part": part_key(part),
        "mode": mode,
    }
