"""Checkpoints that are known to be whole: a list of their files and hashes is written last, and read first."""

from __future__ import annotations

import shutil
from pathlib import Path

from composer.artifacts import file_digest, read_json, write_json

WHOLE = "whole.json"


def seal(folder: Path, keep: int) -> None:
    """Marks the newest checkpoint of a run as whole, and removes all but the newest `keep`.

    Args:
        folder: The run's, with `checkpoint-STEP` in it.
        keep: Checkpoints that stay.
    """
    newest = _checkpoints(folder)[-1]
    files = sorted(path for path in newest.rglob("*") if path.is_file() and path.name != WHOLE)
    write_json(newest / WHOLE, {path.relative_to(newest).as_posix(): file_digest(path) for path in files})
    for old in _checkpoints(folder)[:-keep]:
        discard(old)


def newest_whole(folder: Path, at_most: int | None = None) -> tuple[Path | None, list[str]]:
    """The newest checkpoint of a run that is as it was written, and a sentence on each newer one that is not.

    Args:
        folder: The run's; need not be there.
        at_most: The last step that it may have seen.
    """
    told = []
    for checkpoint in reversed(_checkpoints(folder)):
        if at_most is not None and step_of(checkpoint) > at_most:
            continue
        if not (checkpoint / WHOLE).is_file():
            told.append(f"{checkpoint.name} was not finished: the one before is used")
            continue
        listed = read_json(checkpoint / WHOLE)
        broken = [name for name, hashed in listed.items() if _digest(checkpoint / name) != hashed]
        if not broken:
            return checkpoint, told
        told.append(f"{checkpoint.name} is damaged ({broken[0]} is not as it was written): the one before is used")
    return None, told


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def discard(checkpoint: Path) -> None:
    """Removes a checkpoint; one that is half removed is not taken for whole."""
    (checkpoint / WHOLE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.name.rsplit("-", 1)[1].isdigit()]
    return sorted(found, key=step_of)


def _digest(file: Path) -> str | None:
    return file_digest(file) if file.is_file() else None
