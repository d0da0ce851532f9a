"""Searches whose proposals lie in PostgreSQL, for workers with one folder and with a folder each."""

import contextlib
import getpass
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from search_world import by_index, check_run_once, check_told, count, ended, soon, worker

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'composer-mix[postgres]'")

USER, PASSWORD = "composer", secrets.token_hex(8)
RANDOM = ("study.search.sampler=random", "study.search.startup=8")
FEW = ("study.search.trials=5",)
ARMS = 6


def programs():
    """The folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    path = found[-1] if found else Path(shutil.which("postgres") or "")
    if not path.name:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return path.parent


class Server:
    """A server of its own, on a free port of this machine alone, that keeps nothing."""

    def __init__(self):
        self.programs, self.process = programs(), None
        # It refuses to be run by root.
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self.folder = Path(tempfile.mkdtemp(prefix="composer-postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        (self.folder / "password").write_text(PASSWORD)
        for path in (self.folder, self.folder / "password"):
            shutil.chown(path, self.user)
        made = self._begin(
            "initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password", "-E", "UTF8",
            "--locale", "C", "--no-sync",
        )  # fmt: skip
        assert made.wait(60) == 0, (self.folder / "log").read_text()
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def _begin(self, program, *arguments):
        whose = {"user": self.user, "group": self.user, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.programs / program), *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, start_new_session=True, **whose,
            )  # fmt: skip

    def start(self):
        options = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=40", "jit=off")
        asked = (
            "-D",
            "data",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-k",
            "",
            *(a for o in options for a in ("-c", o)),
        )
        self.process = self._begin("postgres", *asked)
        soon(self._answers)

    def stop(self):
        """Ends it, and with it the connections to it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(
                host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres", connect_timeout=2
            ).close()
            return True
        return False

    @property
    def url(self):
        return f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


def asked(server, name):
    return (f"study.search.storage={server.url}", f"study.name={name}")


def storage(server):
    import optuna

    return optuna.storages.RDBStorage(server.url, skip_table_creation=True)


def states(server, name):
    """How many of its trials are in each state; none before its tables were made."""
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        try:
            rows = connection.execute(
                "select state::text, count(*) from trials join studies using (study_id) where study_name = %s "
                "group by 1",
                (name,),
            ).fetchall()
        except psycopg.errors.UndefinedTable:
            rows = []
    return dict(rows)


@pytest.mark.parametrize("round_", range(5))
def test_four_workers_of_which_two_are_killed_lose_no_trial(server, round_, tmp_path):
    """In even rounds each has a folder of its own, as on machines that share nothing but the database."""
    chance, name, apart = random.Random(round_), f"round{round_}", round_ % 2 == 0
    runs = [tmp_path / (f"worker{number}" if apart else "all") / "run" for number in range(4)]
    workers = [worker(run, *asked(server, name), *RANDOM, *FEW, TRIAL_SECONDS="0.2") for run in runs]
    soon(lambda: states(server, name).get("RUNNING"))
    for process in workers[:2]:
        time.sleep(0.7 * chance.random())
        assert process.is_alive()
        process.kill()
        process.join()
    for process in workers[2:]:
        ended(process)
    check_told(by_index(storage(server), name), ARMS)
    if apart:
        check_apart(runs, killed=2)
    else:
        check_run_once(runs[0], killed=2)


def check_apart(runs, killed):
    """Those that lived share all trials between them and those that the dead had told; each was run by one of them."""
    spoken = [count(run / "ended.txt") for run in runs]
    total = sum(spoken[1:], spoken[0].copy())
    assert len(total) == ARMS * 2 and all(times <= 1 for one in spoken for times in one.values())
    lived = sum(spoken[killed + 1 :], spoken[killed].copy())
    assert max(lived.values()) == 1
    # What a dead one was at, and had not told, was run again: the seeds of one proposal.
    assert sum(total.values()) - len(total) <= killed * 2


def test_a_server_that_goes_away_for_a_moment_ends_no_worker(server, tmp_path):
    runs = [tmp_path / name / "run" for name in ("one", "two")]
    workers = [worker(run, *asked(server, "away"), *RANDOM, *FEW, TRIAL_SECONDS="0.4") for run in runs]
    soon(lambda: states(server, "away").get("COMPLETE", 0) >= 2)
    for seconds in (0.0, 3.0):  # of which one is longer than the time after which a worker is taken for dead
        server.stop()
        time.sleep(seconds)
        server.start()
        time.sleep(0.5)
    for process in workers:
        ended(process)
    found = by_index(storage(server), "away")
    check_told(found, ARMS)
    assert all(len(of) == 1 for of in found.values())  # nobody was taken for dead
    total = sum((count(run / "ended.txt") for run in runs[1:]), count(runs[0] / "ended.txt"))
    assert set(total.values()) == {1} and len(total) == ARMS * 2


def test_a_worker_that_stood_still_is_taken_over_and_goes_on(server, tmp_path):
    still, other = (tmp_path / name / "run" for name in ("still", "other"))
    process = worker(still, *asked(server, "still"), *RANDOM, *FEW, TRIAL_SECONDS="0.3")
    soon(lambda: count(still / "ended.txt"))
    os.kill(process.pid, signal.SIGSTOP)
    try:
        ended(worker(other, *asked(server, "still"), *RANDOM, *FEW))
        assert process.is_alive()
    finally:
        os.kill(process.pid, signal.SIGCONT)
    ended(process)
    found = by_index(storage(server), "still")
    check_told(found, ARMS)
    assert sorted(len(of) for of in found.values()) == [1] * (ARMS - 1) + [2]
    assert len(count(other / "ended.txt")) >= (ARMS - 1) * 2


def test_workers_that_begin_at_the_same_moment_make_one_search(server, tmp_path):
    """The tables too; each with a database of its own would be as good as alone."""
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create database fresh")
    url = f"{server.url.rpartition('/')[0]}/fresh"
    few = (f"study.search.storage={url}", "study.search.trials=3", *RANDOM)
    workers = [worker(tmp_path / str(number) / "run", *few) for number in range(3)]
    for process in workers:
        ended(process)
    import optuna

    found = by_index(optuna.storages.RDBStorage(url), "default")
    check_told(found, arms=4)
    assert all(len(of) == 1 for of in found.values())
