"""A pile of rows as large as asked for, with known faults: what `pool.py` builds pools from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CATEGORIES = ("openthought", "mcqa", "daily")
STRATA = 20
BLOCK = 1 << 16  # rows that are made at once, and of a row group
FILE = 1 << 20  # rows of a file
FAULT = 0.03  # of the rows, of each kind
FAULTS = ("none", "english", "no_thinking", "unclosed", "image", "control", "empty", "copy", "near_copy")
WORDS = 6000
SWAPPED = 2  # words that differ in a near copy: of its runs of characters about nine in ten stay


def write_pile(folder: Path, rows: int, seed: int = 0) -> None:
    """Writes `NNN.parquet` with prompt, response, category, stratum and fault; about 300 bytes of text a row."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    korean = _words(random, 0xAC00, 2000, 3)
    english = _words(random, ord("a"), 26, 5)
    for number, start in enumerate(range(0, rows, FILE)):
        path = folder / f"{number:03d}.parquet"
        writer = None
        for at in range(start, min(start + FILE, rows), BLOCK):
            table = _block(random, korean, english, min(BLOCK, rows - at), at)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()


def _block(random: np.random.Generator, korean: list[str], english: list[str], rows: int, start: int) -> pa.Table:
    category = random.integers(0, len(CATEGORIES), rows)
    fault = random.choice(len(FAULTS), rows, p=[1 - FAULT * (len(FAULTS) - 1), *[FAULT] * (len(FAULTS) - 1)])
    picks = random.integers(0, WORDS, (rows, 32))
    prompts, responses = list[str](), list[str]()
    for row in range(rows):
        told = FAULTS[fault[row]]
        if told in ("copy", "near_copy") and row:
            source = int(random.integers(0, row))
            prompt, response = prompts[source], responses[source]
            if told == "near_copy":
                words = response.split(" ")
                for place in random.integers(2, max(len(words) - 1, 3), SWAPPED):
                    words[min(place, len(words) - 1)] = korean[picks[row, 0]]
                response = " ".join(words)
            prompts.append(prompt)
            responses.append(response)
            continue
        words = english if told == "english" else korean
        prompt = " ".join([str(start + row), *(korean[pick] for pick in picks[row, :8])]) + "?"
        thought, answer = (" ".join(words[pick] for pick in part) for part in (picks[row, 8:20], picks[row, 20:]))
        opened = "" if told == "no_thinking" else "<think>"
        closed = "" if told in ("no_thinking", "unclosed") else "</think>"
        answer = "" if told == "empty" else f"{answer}."
        answer += "![그림](https://a.b/c.png)" if told == "image" else "\x07" if told == "control" else ""
        prompts.append(prompt)
        responses.append(f"{opened}{thought}{closed}{answer}")
    strata = random.integers(0, STRATA, rows)
    return pa.table(
        {
            "prompt": prompts,
            "response": responses,
            "category": pa.array([CATEGORIES[one] for one in category]),
            "stratum": pa.array([f"s{one:02d}" for one in strata]),
            "fault": pa.array([FAULTS[one] for one in fault]),
        }
    )


def _words(random: np.random.Generator, first: int, letters: int, size: int) -> list[str]:
    return ["".join(chr(first + one) for one in word) for word in random.integers(0, letters, (WORDS, size)).tolist()]


def planted(rows: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, of each the place of the one that it was made from (-1: none), and how alike the two are (Jaccard)."""
    random = np.random.default_rng(seed)
    words = _words(random, 0xAC00, 2000, 3)
    texts, sources, alike = list[str](), np.full(rows, -1), np.zeros(rows)
    for row in range(rows):
        if row > 100 and random.random() < 0.1:
            source = int(random.integers(0, row))
            parts = texts[source].split(" ")
            for place in random.integers(0, len(parts), int(random.integers(0, 3))):
                parts[place] = words[int(random.integers(0, WORDS))]
            texts.append(" ".join(parts))
            sources[row], alike[row] = source, _jaccard(texts[source], texts[row])
        else:
            texts.append(" ".join(words[pick] for pick in random.integers(0, WORDS, 40)))
    return texts, sources, alike


def _jaccard(one: str, other: str, size: int = 5) -> float:
    runs = [{text[at : at + size] for at in range(len(text) - size + 1)} for text in
            ("".join(one.split()), "".join(other.split()))]  # fmt: skip
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])
