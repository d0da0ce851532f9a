"""A trial that is killed at any moment and run again ends with the very weights of one that was left alone."""

import json
import os
import random
import signal

import pytest
from trials import finish, history, make_trial, start, weights

TIMES = 5


@pytest.fixture(scope="module", params=["off", "best_fit"])
def packing(request):
    return request.param


@pytest.fixture(scope="module")
def whole(tmp_path_factory, packing):
    folder = make_trial(tmp_path_factory.mktemp("whole"), f"trainer.packing={packing}")
    code, said = finish(folder)
    assert code == 0, said
    return folder


def kill_at(process, step):
    """Ends a trial, with the hardest of signals, as soon as it tells of a step so far on; False where it was done."""
    for line in process.stdout:
        told = json.loads(line)
        if told["phase"] == "train" and told["step"] >= step:
            os.kill(process.pid, signal.SIGKILL)
            return True
    return False


def test_killed_five_times_it_ends_bit_identical(whole, packing, tmp_path):
    seed = random.SystemRandom().randrange(2**32)  # told by the assertions below
    rng = random.Random(seed)
    folder = make_trial(tmp_path, f"trainer.packing={packing}", "trainer.checkpoint_steps=3")
    steps = json.loads((whole / "record.json").read_text())["training"]["steps"]
    killed = 0
    for step in sorted(rng.sample(range(1, steps), TIMES)):
        with start(folder) as process:
            killed += kill_at(process, step)
    assert killed == TIMES, f"seed {seed}"
    begun = {int(path.name.split("-")[1]) for path in (folder / "checkpoints").glob("checkpoint-*")}
    assert begun, f"seed {seed}: it goes on from a checkpoint"
    code, said = finish(folder)
    assert code == 0, said
    assert weights(folder) == weights(whole), f"seed {seed}"
    assert history(folder).equals(history(whole)), f"seed {seed}"
    assert history(folder, "losses").equals(history(whole, "losses")), f"seed {seed}"
    assert not list((folder / "checkpoints").glob("checkpoint-*"))


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(whole, packing, tmp_path):
    folder = make_trial(tmp_path, f"trainer.packing={packing}", "trainer.checkpoint_steps=3")
    with start(folder) as process:
        assert kill_at(process, 8)
    newest = max((folder / "checkpoints").glob("checkpoint-*/whole.json"), key=lambda file: int(file.parent.name[11:]))
    damaged = newest.parent / "optimizer.pt"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    code, said = finish(folder)
    assert code == 0, said
    assert f"{newest.parent.name} is damaged (optimizer.pt is not as it was written): the one before is used" in said
    assert weights(folder) == weights(whole)
