"""What monitors tell of steps whose losses are known."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.config_trainer import MonitorConfig, MonitorsConfig, TrainerConfig
from composer.recipe import load_recipe
from composer.trial.history import Step
from composer.trial.monitors import Monitors
from composer.trial.monitors.remedy import remedy

ROWS, BATCH = 8000, 8
GROUPS = np.arange(ROWS) % 3
CONFIG = TrainerConfig(name="x", monitors=MonitorsConfig(plateau=MonitorConfig(policy="warn")))
SEEDS = st.integers(0, 2**32 - 1)


def step(number, rng, level=1.0, spread=0.2, norm=1.0, places=None):
    """A step whose rows cost `level` and more or less, those of the other groups twice and three times as much."""
    if places is None:
        places = (np.arange(BATCH) + BATCH * number) % ROWS
    losses = (GROUPS[places] + 1) * level * np.exp(spread * rng.standard_normal(len(places)))
    return Step(
        number, float(losses.mean()), norm * math.exp(0.1 * rng.standard_normal()), 1e-3, 100, 0.1, True,
        places, losses.astype(np.float32),
    )  # fmt: skip


def falling(number):
    return 0.3 + 3 * math.exp(-number / 40)


def watch(steps, config=CONFIG, ids=None):
    monitors = Monitors(config, GROUPS, np.full(ROWS, 20), ids or [str(row) for row in range(ROWS)])
    found = []
    for one in steps:
        found += monitors.look(one)
        monitors.remember(one)
    return found


def run(seed, steps=300, changed=None, level=falling):
    rng = np.random.default_rng(seed)
    return [(changed or {}).get(n, lambda one: one)(step(n, rng, level(n))) for n in range(1, steps + 1)]


def harder(by, rows=slice(None)):
    def change(one):
        losses = one.losses.copy()
        losses[rows] += by
        return replace(one, losses=losses, loss=float(losses.mean()))

    return change


@settings(max_examples=5)
@given(SEEDS)
def test_a_loss_that_falls_and_then_stands_is_nothing_special_but_for_the_plateau(seed):
    assert {one.kind for one in watch(run(seed, 800))} <= {"plateau"}
    assert not watch(run(seed, 200))


@settings(max_examples=10)
@given(SEEDS, st.integers(40, 250), st.integers(1, 4))
def test_harder_steps_are_told_and_no_other(seed, first, size):
    bad = range(first, first + size)
    found = watch(run(seed, changed=dict.fromkeys(bad, harder(8.0))))
    assert [(one.step, one.kind, one.policy) for one in found] == [(n, "spike", "warn") for n in bad]
    assert "nats a token harder than their like" in found[0].told and found[0].score > 6


@settings(max_examples=10)
@given(SEEDS, st.integers(40, 250))
def test_one_odd_row_is_no_spike(seed, at):
    assert not watch(run(seed, changed={at: harder(8.0, slice(0, 1))}))


@settings(max_examples=10)
@given(SEEDS, st.integers(40, 250))
def test_a_gradient_far_larger_than_before_is_a_spike_by_itself(seed, at):
    [found] = watch(run(seed, changed={at: lambda one: replace(one, grad_norm=20.0)}))
    assert (found.step, found.kind) == (at, "spike") and "its gradient is" in found.told and "nats" not in found.told


def test_a_level_that_stays_is_the_new_level():
    found = watch(run(0, 300, dict.fromkeys(range(150, 301), harder(4.0))))
    assert all(150 <= one.step < 170 for one in found if one.kind == "spike")
    assert found[-1].step < 200


@settings(max_examples=10)
@given(SEEDS)
def test_a_loss_that_keeps_rising_is_drift_and_no_spike(seed):
    found = watch(run(seed, 300, level=lambda n: falling(min(n, 150)) + max(0, n - 150) * 0.01))
    drift = next(one for one in found if one.kind == "drift")
    assert {one.kind for one in found} == {"drift"} and 160 <= drift.step <= 230
    assert f"{remedy(CONFIG, 1e-3)}" in drift.told


def test_what_to_try_is_four_changes_in_order_and_overrides_that_a_recipe_takes():
    config = TrainerConfig(name="x", learning_rate=3e-4, warmup_steps=100, weight_decay=0.0, optimizer="adamw_8bit")
    line = remedy(config, math.nan)
    names = [change.split("=")[0] for change in line.split()]
    assert names == ["trainer.learning_rate", "trainer.weight_decay", "trainer.warmup_steps", "trainer.optimizer"]
    calmer = load_recipe("quickstart", line.split()).config.trainer
    assert (calmer.learning_rate, calmer.weight_decay, calmer.warmup_steps) == (1e-4, 0.1, 50)
    assert calmer.optimizer == "adamw" and "optimizer" not in remedy(calmer, math.nan)
    assert "trainer.learning_rate=2e-05" in remedy(config, 4e-5)  # half of the rate at which the loss still fell


def test_a_loss_that_stands_is_a_plateau_where_one_is_asked_for():
    found = watch(run(0, 1000, level=lambda n: 1.0))
    assert {one.kind for one in found} == {"plateau"} and found[0].step >= 300
    quiet = replace(CONFIG, monitors=MonitorsConfig())
    assert not watch(run(0, 1000, level=lambda n: 1.0), quiet)


def test_a_step_of_rows_that_were_just_read_is_told():
    rng = np.random.default_rng(0)
    before = np.arange(BATCH * 99, BATCH * 100)
    again = [step(n, rng, falling(n), places=before if n == 100 else None) for n in range(1, 201)]
    [found] = watch(again)
    assert (found.step, found.kind) == (100, "repeats") and found.told.startswith("100% of the rows of step 100")
    one_row = [step(n, rng, falling(n), places=np.array([800])) if n == 50 else step(n, rng) for n in range(1, 101)]
    assert not [one for one in watch(one_row) if one.kind == "repeats"]  # a step of one row repeats nothing


def test_a_mixture_that_is_made_of_repeats_is_not_told_step_by_step():
    ids = [str(row % 12) for row in range(ROWS)]
    assert not watch(run(0), ids=ids)


def test_a_loss_that_is_no_number_names_the_rows():
    def broken(places):
        def change(one):
            losses = one.losses.copy()
            losses[places] = np.nan
            return replace(one, loss=math.nan, losses=losses)

        return change

    [one] = watch(run(0, 50, {30: broken([2])}))
    assert one.kind == "divergence" and one.told == "the loss of step 30 is no finite number, by row 242"
    [five] = watch(run(0, 50, {30: broken(slice(0, 5))}))
    assert five.told.endswith("by rows 240, 241, 242 and 2 more")
    [gradient] = watch(run(0, 50, {30: lambda one: replace(one, grad_norm=math.inf)}))
    assert gradient.told == "the gradient of step 30 is no finite number"


@pytest.mark.parametrize("kind", ["spike", "drift", "repeats"])
def test_what_is_off_tells_nothing(kind):
    same = run(1)[99]
    bad = {"spike": {90: harder(4.0)}, "drift": dict.fromkeys(range(150, 200), harder(0.9)),
           "repeats": {101: lambda one: replace(same, number=101)}}[kind]  # fmt: skip
    told = watch(run(1, changed=bad))
    assert kind in {one.kind for one in told}
    config = replace(CONFIG, monitors=replace(CONFIG.monitors, **{kind: MonitorConfig(policy="off")}))
    assert kind not in {one.kind for one in watch(run(1, changed=bad), config)}


@given(st.integers(1, 299))
@settings(max_examples=10)
def test_who_is_shown_the_steps_before_sees_what_one_who_was_there_sees(cut):
    """A resumed run shows new monitors what the old ones saw."""
    steps = run(2, changed={90: harder(4.0), 91: harder(3.0)})
    whole = watch(steps)
    monitors = Monitors(CONFIG, GROUPS, np.full(ROWS, 20), [str(row) for row in range(ROWS)])
    for one in itertools.islice(steps, cut):
        monitors.look(one)
        monitors.remember(one)
    after = [event for one in steps[cut:] for event in (monitors.look(one), monitors.remember(one))[0]]
    assert after == [event for event in whole if event.step > cut]
