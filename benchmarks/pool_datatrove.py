"""datatrove's nearest filters on the rows of `pool.py`, two processes; run by an environment that has datatrove.

Images, control characters and broken text are its RegexFilter; thoughts, Korean and answers, which it has none for, its
LambdaFilter with the functions of `pool_rules.py`. Reading is not timed, nor is it of composer's filters.
"""

from __future__ import annotations

import json
import sys
import time
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import LambdaFilter, RegexFilter
from pool_rules import BROKEN, CONTROL, IMAGE, answers, speaks, thinks

ROWS: list[Any] = []


def _filters() -> list[Any]:
    return [
        LambdaFilter(thinks), LambdaFilter(speaks), RegexFilter(IMAGE.pattern), RegexFilter(CONTROL.pattern),
        RegexFilter(BROKEN.pattern), LambdaFilter(answers),
    ]  # fmt: skip


def _part(at: tuple[int, int]) -> int:
    documents: Any = iter(ROWS[slice(*at)])
    for one in _filters():
        documents = one(documents)
    return sum(1 for _ in documents)


if __name__ == "__main__":
    for number, line in enumerate((Path(sys.argv[1]) / "filtered.jsonl").open(encoding="utf-8")):
        prompt, response = json.loads(line)
        ROWS.append(Document(text=response, id=str(number), metadata={"prompt": prompt}))
    half = len(ROWS) // 2
    with Pool(2) as pool:  # forked, with the rows in memory
        pool.map(_part, [(0, 100), (half, half + 100)], 1)
        start = time.perf_counter()
        kept = sum(pool.map(_part, [(0, half), (half, len(ROWS))], 1))
        print(json.dumps({"seconds": time.perf_counter() - start, "rejected": len(ROWS) - kept}))
