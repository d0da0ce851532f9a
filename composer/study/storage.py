"""Where a search's proposals lie: a journal in the run's folder, or a database that several machines reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from composer.errors import NeedsError, OutputError
from composer.study.journal import JOURNAL
from composer.study.lock import try_lock

Found = TypeVar("Found")

AWAY_SECONDS = 600.0  # for which a database that does not answer is asked again
AGAIN_SECONDS = 1.0
TRIES = 10  # to make a database's tables
LOCK_SECONDS = 600.0  # for which another process may hold a lock
POLL_SECONDS = 0.02
BLOCK = 1 << 16
# A server drops the lock of a machine that lost its power or its network after about a minute.
_KEEPALIVES = (("tcp_keepalives_idle", "30"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3"))


class Storage:
    """A journal or a database."""

    def __init__(self, name: str, backend: Any, shown: str, engine: Any = None) -> None:
        """Use `open_storage`."""
        self.name, self.backend, self.shown, self.engine = name, backend, shown, engine

    @property
    def remote(self) -> bool:
        """Whether it is a database, whose workers may have folders of their own."""
        return self.engine is not None

    def do(self, call: Callable[..., Found], *args: Any, **kwargs: Any) -> Found:
        """Calls the backend; while the database does not answer, again.

        Raises:
            NeedsError: It has not answered for `AWAY_SECONDS`.
        """
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if not (self.remote and _away(error)):
                    raise
                if time.monotonic() >= deadline:
                    raise NeedsError(
                        f"study.search.storage is {self.shown}, which has not answered for {AWAY_SECONDS:g} s: "
                        "once it does, run again, which goes on from here"
                    ) from error
            time.sleep(AGAIN_SECONDS)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the search for this process among those that share the database; its end, however it came, lets go.

        With a journal all workers are in one folder, whose lock the caller holds; then this does nothing.

        Raises:
            OutputError: Another process holds it for longer than `LOCK_SECONDS`.
        """
        with contextlib.ExitStack() as stack:
            if self.remote:
                stack.enter_context(_held(self.engine, self.name, self.do))
            yield


def open_storage(run: Path, name: str, url: str | None) -> Storage:
    """Opens the journal of the folder `run`, or the database at `url`, for the search `name`.

    Raises:
        NeedsError: The database cannot be opened.
    """
    if url is None:
        path = run / JOURNAL
        return Storage(name, _journal(path), str(path))
    try:
        return _database(name, url)
    except (NeedsError, OutputError):
        raise
    except ImportError as error:
        raise NeedsError(
            f"study.search.storage is {_shown(url)}, which needs the package {error.name or error}: for PostgreSQL "
            "pip install 'composer-mix[postgres]'"
        ) from error
    except Exception as error:
        raise NeedsError(
            f"study.search.storage is {_shown(url)}, which cannot be opened: {str(error).strip().splitlines()[0]}; "
            "give an Optuna storage URL, such as sqlite:///search.db, or null for a journal in the run's folder"
        ) from error


class Flock:
    """A lock on the journal, which the kernel lets go of when its holder dies.

    It is on the journal itself: the lock file beside it belongs to Optuna, which removes what it takes for a stale one.
    A line that a kill cut short is cut off, as Optuna would spoil the next line by it.
    """

    def __init__(self, journal: Path) -> None:
        """Of `journal`."""
        self.journal = journal
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Waits for the lock.

        Raises:
            OutputError: Another process holds it for longer than `LOCK_SECONDS`.
        """
        descriptor = try_lock(self.journal, LOCK_SECONDS)
        if descriptor is None:
            raise OutputError(f"{self.journal} is locked by a process that stands still: end it, then run again")
        try:
            _mend(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets go of it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def _mend(descriptor: int) -> None:
    """Cuts the file to its last whole line."""
    end = size = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def _journal(path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    path.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = Flock(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _database(name: str, url: str) -> Storage:
    import sqlalchemy
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage, get_storage

    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)  # of the lock: a connection for each time
    if engine.dialect.name not in _LOCKS:
        raise NeedsError(
            f"study.search.storage is {_shown(url)}, a database in which workers cannot take turns: "
            f"give one of {', '.join(_LOCKS)}"
        )
    options: dict[str, Any] = {"pool_pre_ping": True}
    if engine.dialect.name == "sqlite":
        options["connect_args"] = {"timeout": 60}
    storage = Storage(name, None, _shown(url), engine)
    # Two processes that make the tables at the same moment would fail. Another program of Optuna's, such as its
    # dashboard, knows nothing of our lock: what it made in between is there when we look again.
    with _held(engine, name, lambda call: call()):
        for left in reversed(range(TRIES)):
            try:
                database = RDBStorage(url, engine_kwargs=options)
                break
            except (sqlalchemy.exc.DBAPIError, StorageInternalError):
                if not left:
                    raise
                time.sleep(AGAIN_SECONDS / TRIES)
    if engine.dialect.name == "sqlite":
        _serialise(database.engine)
    storage.backend = get_storage(database)  # reads trials that have ended once
    return storage


def _serialise(engine: Any) -> None:
    """Makes SQLite's transactions begin before they read; else two could change a trial that both saw unchanged."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections of before


@contextlib.contextmanager
def _held(engine: Any, name: str, do: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Holds the lock `name` of a database."""
    let_go = do(lambda: _LOCKS[engine.dialect.name](engine, name))
    if let_go is None:
        shown = engine.url.render_as_string(hide_password=True)
        raise OutputError(f"another process has stood still with the search {name} in {shown}: end it, then run again")
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # a connection that is lost holds nothing
            let_go()


def _by_file(engine: Any, name: str) -> Callable[[], None] | None:
    path = engine.url.database
    if not path or path == ":memory:" or path.startswith("file:"):
        return lambda: None
    descriptor = try_lock(Path(f"{path}.lock"), LOCK_SECONDS)
    return None if descriptor is None else lambda: os.close(descriptor)


def _by_server(engine: Any, name: str, asked: str, key: Any, session: tuple[tuple[str, str], ...]) -> Any:
    """Asks the server for a lock that lasts as long as the connection; what closes it, or None after all that time."""
    from sqlalchemy import text

    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        for setting, value in session:
            connection.execute(text("select set_config(:setting, :value, false)"), {"setting": setting, "value": value})
        deadline = time.monotonic() + LOCK_SECONDS
        while not connection.execute(text(asked), {"key": key}).scalar():
            if time.monotonic() >= deadline:
                connection.close()
                return None
            time.sleep(POLL_SECONDS)
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return connection.close


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"composer search {name}".encode()).digest()[:8], "big", signed=True)


_LOCKS: dict[str, Callable[[Any, str], Any]] = {
    "sqlite": _by_file,
    "postgresql": lambda engine, name: _by_server(
        engine, name, "select pg_try_advisory_lock(:key)", _number(name), _KEEPALIVES
    ),
    "mysql": lambda engine, name: _by_server(
        engine, name, "select get_lock(:key, 0)", f"composer {_number(name):x}", ()
    ),
}


def _away(error: Exception) -> bool:
    """Whether a database could not be reached, which may pass."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy import exc

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    # Optuna asks once more within the transaction that broke, which is told as a pending rollback.
    return isinstance(cause, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.PendingRollbackError))


def _shown(url: str) -> str:
    """The URL without a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url
