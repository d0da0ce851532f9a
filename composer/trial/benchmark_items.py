"""Benchmark items from the hub, or from a local copy of the same shape; the tasks under `eval/` call this."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import TrialError

if TYPE_CHECKING:
    from datasets import Dataset

_FORMATS = {".jsonl": "json", ".parquet": "parquet"}


def rows(dataset: str, part: str | None = None, split: str = "test") -> Iterator[dict[str, Any]]:
    """The rows of one configuration (`part`) of a data set.

    Args:
        dataset: A hub id, or a folder with one `PART.jsonl` or `PART.parquet` for each part (`SPLIT.…` without parts).
        part: The hub's name of the configuration.
        split: The hub's name of the split.

    Raises:
        TrialError: The data set cannot be read; the message says what gated sets need.
    """
    from datasets import load_dataset

    folder = Path(dataset).expanduser()
    try:
        if folder.is_dir():
            file = _file(folder, part or split)
            found = load_dataset(_FORMATS[file.suffix], data_files=str(file), split="train")
        else:
            found = load_dataset(dataset, part, split=split)
    except (OSError, ValueError) as error:
        raise TrialError(
            f"benchmark data {dataset}{f' ({part})' if part else ''} cannot be read: {error}\n"
            "a gated set wants its terms accepted on the hub and a token in HF_TOKEN; "
            "a local copy is named by a task of your own, as eval/README.md shows"
        ) from error
    yield from found


def as_test_split(items: list[dict[str, Any]]) -> dict[str, Dataset]:
    """Items as lm-eval's `custom_dataset` gives them."""
    from datasets import Dataset

    return {"test": Dataset.from_list(items)}


def part_key(part: str) -> str:
    """A part's name in a metric's: `MT-AIME2024` gives `mt_aime2024`."""
    return part.lower().replace("-", "_")


def _file(folder: Path, name: str) -> Path:
    for suffix in _FORMATS:
        if (file := folder / f"{name}{suffix}").is_file():
            return file
    raise FileNotFoundError(f"{folder} holds neither {' nor '.join(name + suffix for suffix in _FORMATS)}")
