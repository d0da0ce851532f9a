"""Runs the same function on many items: in this process, in processes of this machine, or under Ray on many."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Protocol

from composer.errors import ComposerError, NeedsError, UnfinishedError

WATCH = 1.0  # seconds between looks whether the parent lives


class Driver(Protocol):
    """Runs a function on items."""

    def __call__(self, function: Callable[[Any], None], items: Sequence[Any], advance: Callable[[], None]) -> None:
        """Runs `function` on each; `advance` is told when one is done.

        Raises:
            ComposerError: One failed, or what it writes to is full; the others may be done.
        """


def local(workers: int) -> Driver:
    """In so many processes of this machine; of one worker, in this one."""

    def run(function: Callable[[Any], None], items: Sequence[Any], advance: Callable[[], None]) -> None:
        if workers == 1 or len(items) < 2:
            for item in items:
                function(item)
                advance()
            return
        # Threads of Arrow and of the tokeniser do not survive a fork.
        pool = ProcessPoolExecutor(
            min(workers, len(items)), get_context("spawn"), initializer=_begun, initargs=(os.getpid(),)
        )
        try:
            for done in as_completed([pool.submit(function, item) for item in items]):
                done.result()
                advance()
        except BrokenProcessPool as error:
            raise UnfinishedError(
                "a worker was killed, perhaps for want of memory: what is done is kept, and the same command goes on; "
                "fewer --workers take less"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    return run


def ray(workers: int) -> Driver:
    """Under Ray Data, on the cluster that RAY_ADDRESS names, else on this machine; files lie where all nodes see them.

    Raises:
        NeedsError: Ray is not installed.
    """
    try:
        import ray as loaded
        from ray import data
    except ImportError as error:
        raise NeedsError("launcher=ray needs the package ray: pip install 'composer-mix[ray]'") from error

    def run(function: Callable[[Any], None], items: Sequence[Any], advance: Callable[[], None]) -> None:
        if not items:
            return
        if not loaded.is_initialized():
            address = os.environ.get("RAY_ADDRESS")
            more: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
            loaded.init(address=address, log_to_driver=False, logging_level="error", **more)
        data.DataContext.get_current().enable_progress_bars = False
        rows = data.from_items(list(range(len(items))), override_num_blocks=len(items))
        kept = loaded.put(list(items))

        def one(row: dict[str, Any]) -> dict[str, Any]:
            # Ray would keep no more of an error than its text.
            try:
                function(loaded.get(kept)[row["item"]])
            except (ComposerError, OSError) as error:
                return {"failed": pickle.dumps(error)}
            return {"failed": b""}

        try:
            for row in rows.map(one).iter_rows():
                if row["failed"]:
                    raise pickle.loads(row["failed"])
                advance()
        except loaded.exceptions.RayError as error:
            raise UnfinishedError(
                f"Ray gave up: {str(error).strip()}\nwhat is done is kept, and the same command goes on"
            ) from error

    return run


@contextmanager
def writing() -> Iterator[None]:
    """Tells what the system says of a full disk, or of a folder that may not be written, as an error of the pool."""
    try:
        yield
    except OSError as error:
        raise UnfinishedError(
            f"the pool cannot be written: {error}; what is done is kept, and the same command goes on"
        ) from error


def _begun(parent: int) -> None:
    """A worker uses one thread, and ends when its parent was killed."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
