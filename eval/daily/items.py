"""The daily benchmark's items: every prompt of `prompts.jsonl`, a group's paraphrases one after another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from composer.trial.benchmark_items import as_test_split

PROMPTS = Path(__file__).with_name("prompts.jsonl")


def groups() -> list[dict[str, Any]]:
    """The groups: `group`, `kind`, three `prompts` that ask the same, `keys`, and a `reply` that fits."""
    return [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]


def items(mode: str, **_: Any) -> dict[str, Any]:
    """The items."""
    return as_test_split(
        [
            {
                "question": prompt,
                "answer": ", ".join(group["keys"]),
                "response": group["reply"],
                "group": group["group"],
                "kind": group["kind"],
                "mode": mode,
            }
            for group in groups()
            for prompt in group["prompts"]
        ]
    )
