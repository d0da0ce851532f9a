"""The folder in which a pool is built: by one process at a time, and kept as long as the same request can go on."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from composer.artifacts import read_json
from composer.errors import ComposerError, NeedsError, OutputError, UnfinishedError

LOCK, MADE_OF = "lock", "made_of"
BELOW = ("parts", "rejects", "done", "rows")
Told = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@contextmanager
def building(out: Path, made_of: str, told: Told) -> Iterator[Path | None]:
    """Gives `.OUT.building` to fill, to this process alone, and renames it to `out` at the end; None if `out` is there.

    Args:
        out: Where the pool goes.
        made_of: The hash of what it is made of; what lies in the folder of another pool is removed.
        told: Is told where another process builds the pool, which is waited for.

    Raises:
        OutputError: `out` holds something else.
    """
    folder = out.with_name(f".{out.name}.building")
    lock = _locked(folder, out, made_of, told)
    if lock is None:
        yield None
        return
    try:
        if _is_there(out, made_of):  # another process finished it between a look and the lock
            _remove(folder)
            yield None
            return
        _prepare(folder, made_of)
        yield folder
        _finish(folder, out)
    except ComposerError as error:
        # After any other the request must change, and then nothing of what is done can be taken.
        if not isinstance(error, UnfinishedError | NeedsError) or not any(folder.glob("done/*.json")):
            _remove(folder)
        raise
    finally:
        os.close(lock)


def _is_there(out: Path, made_of: str) -> bool:
    if not out.exists() or out.is_dir() and not any(out.iterdir()):
        return False
    if not (out / "pool.json").is_file():
        raise OutputError(f"out={out} holds something that is no pool: choose another out=")
    if read_json(out / "pool.json").get("made_of") != made_of:
        raise OutputError(f"out={out} holds another pool: choose another out=, or remove it")
    for name in (LOCK, MADE_OF):
        if (out / name).exists():  # it was killed right behind its new name
            (out / name).unlink(missing_ok=True)
    return True


def _locked(folder: Path, out: Path, made_of: str, told: Told) -> int | None:
    """The descriptor of the folder's lock, which the kernel lets go of however its holder dies; None if `out` is there.

    Who holds the lock may rename or remove the folder, so that what was waited for is no longer its lock.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    while not _is_there(out, made_of):
        with suppress(FileExistsError):
            folder.mkdir()
        with suppress(FileNotFoundError):
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                told(f"waiting for another process, which builds {out}", 0, 1)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, folder / LOCK):
                return lock
            os.close(lock)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _prepare(folder: Path, made_of: str) -> None:
    told = folder / MADE_OF
    if not told.exists() or told.read_text() != made_of:
        _empty(folder)
        told.write_text(made_of)
    for name in BELOW:
        (folder / name).mkdir(exist_ok=True)
    for stray in folder.glob("*/.*"):
        stray.unlink()  # half of a file that a killed process wrote


def _finish(folder: Path, out: Path) -> None:
    """The folder becomes `out`, with its lock: one that were gone before could be made anew by who comes now."""
    for name in ("done", "parts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("asked.json", "signatures.bin"):
        (folder / name).unlink(missing_ok=True)
    if out.exists():
        out.rmdir()
    folder.rename(out)
    for name in (MADE_OF, LOCK):
        (out / name).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Removes the folder, its lock last; where a process comes for the lock meanwhile, the empty folder is its own."""
    _empty(folder)
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        elif one.name != LOCK:
            one.unlink()
