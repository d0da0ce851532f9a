"""Workers take GPUs in turn; a trial of several processes gets as many."""

import sys

import pytest

from composer.config import LauncherConfig
from composer.study.runner import COMMAND
from composer.study.spread import Spread, gpus_here


def seen(spread, slots):
    return [spread.environment(slot).get("CUDA_VISIBLE_DEVICES") for slot in range(slots)]


def test_two_workers_share_one_gpu_or_take_one_each():
    assert seen(Spread(gpus=("0",)), 2) == ["0", "0"]
    assert seen(Spread(gpus=("0", "1")), 2) == ["0", "1"]
    assert seen(Spread(gpus=("3", "5", "7")), 4) == ["3", "5", "7", "3"]
    assert seen(Spread(gpus=()), 2) == [None, None]


def test_a_trial_of_several_processes_gets_as_many_gpus():
    assert seen(Spread(processes=2, gpus=("0", "1", "2", "3")), 2) == ["0,1", "2,3"]
    assert seen(Spread(processes=4, gpus=("0", "1")), 1) == ["0,1"]


def test_one_process_is_started_as_it_is_and_several_by_a_launcher():
    assert Spread(gpus=()).command(COMMAND) == list(COMMAND)
    on_cpu, on_gpus = Spread(2, gpus=()).command(COMMAND), Spread(2, gpus=("0", "1")).command(COMMAND)
    assert on_cpu[:3] == [sys.executable, "-m", "torch.distributed.run"] and "--nproc-per-node=2" in on_cpu
    assert on_gpus[2] == "accelerate.commands.launch" and on_gpus[-2:] == ["-m", "composer.trial"]
    told = Spread.of(LauncherConfig(launch="accelerate launch --config_file 'my cluster.yaml'"))
    assert told.command(COMMAND) == ["accelerate", "launch", "--config_file", "my cluster.yaml", "-m", "composer.trial"]


@pytest.mark.parametrize("told,gpus", [("0,2", ("0", "2")), ("", ()), ("-1", ()), ("GPU-abc", ("GPU-abc",))])
def test_the_gpus_are_those_that_may_be_seen(monkeypatch, told, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert gpus_here() == gpus
