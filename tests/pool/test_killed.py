"""A build that is killed at any moment goes on, and ends with the bytes of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from .piles import (
    accounted,
    built,
    bytes_of,
    daily,
    daily_source,
    pool_config,
    reasoning,
    reasoning_source,
    write_lines,
)

FILES, ROWS = 8, 2000
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from tests.pool.test_killed import config
from composer.pool.curate.build import build, plan
from composer.pool.curate.drivers import local, ray
if __name__ == "__main__":
    from pathlib import Path
    drive = ray(2) if {kind!r} == "ray" else local({workers})
    build(plan(config({pile!r})), Path({out!r}), drive, lambda *told: print(told[0], file=sys.stderr, flush=True))
"""


def config(pile):
    reasons = reasoning_source(duplicates=["prompt", "row", "near"])
    return pool_config(pile, {"reasoning": reasons, "daily": daily_source()})


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    path = tmp_path_factory.mktemp("pile")
    for number in range(FILES // 2):
        some = range(ROWS * number, ROWS * (number + 1) + 20)
        write_lines(path / f"reasoning-{number}.jsonl", map(reasoning, some))
        write_lines(path / f"daily-{number}.jsonl", map(daily, some))
    return path


@pytest.fixture(scope="module")
def whole(pile, tmp_path_factory):
    pool = built(config(pile), tmp_path_factory.mktemp("whole") / "pool")
    assert accounted(pool) and pool.facts["duplicates"] > 0
    return bytes_of(pool.path)


def started(pile, out, kind, workers):
    script = out.with_suffix(".py")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script.write_text(SCRIPT.format(tests=root, kind=kind, workers=workers, pile=str(pile), out=str(out)))
    return subprocess.Popen(
        [sys.executable, str(script)], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def done(building):
    """Shards that are done, and one more when the pool is being written."""
    return len(list(building.glob("done/*.json"))) + bool(list(building.glob("rows/*.parquet")))


@pytest.mark.parametrize(("kind", "workers"), [("local", 1), ("local", 2), ("ray", 2)])
def test_killed_five_times_it_ends_with_the_same_bytes(pile, whole, tmp_path, kind, workers):
    if kind == "ray":
        pytest.importorskip("ray")
    out, moments, kills = tmp_path / "pool", random.Random(workers), 0
    building = tmp_path / ".pool.building"
    for round_ in range(5):
        before = done(building)
        process = started(pile, out, kind, workers)
        # Killed while shards are curated, some of them done, and at last while the pool is written.
        more = FILES + 1 if round_ == 4 else moments.randint(0, 2)
        while process.poll() is None and done(building) < min(before + more, FILES + 1):
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.15))
        if process.poll() is None:
            # The process alone, as a person or the system would; what it started must end by itself.
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        if out.exists():
            break
    process = started(pile, out, kind, workers)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told.decode()
    assert kills >= 4
    assert bytes_of(out) == whole
    assert not building.exists()


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL], ids=["finishes", "dies"])
def test_a_second_process_waits_and_then_finds_the_pool_or_goes_on(pile, whole, tmp_path, end):
    out = tmp_path / "pool"
    first = started(pile, out, "local", 1)
    while not done(tmp_path / ".pool.building"):
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGSTOP)
    second = started(pile, out, "local", 1)
    assert second.stderr.readline().decode() == f"waiting for another process, which builds {out}\n"
    os.kill(first.pid, end)
    _, told = second.communicate(timeout=300)
    first.communicate()
    assert second.returncode == 0, told.decode()
    assert (b"curating" in told) == (end == signal.SIGKILL)
    assert bytes_of(out) == whole
