"""The order of rows: every row once an epoch, shared rows in the same order in every arm."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from composer.trial.order import WINDOW, batches

hashes = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=300, unique=True)


def laid_out(values, size=4, epochs=1, seed=0, lengths=None):
    array = np.array(values, dtype=np.uint64)
    return list(batches(array, lengths or [1] * len(values), size, epochs, seed))


@given(hashes, st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_every_row_stands_once_an_epoch(values, size, epochs, seed):
    found = laid_out(values, size, epochs, seed)
    assert sorted(row for batch in found for row in batch) == sorted(list(range(len(values))) * epochs)
    assert max(map(len, found)) <= size
    assert len(found) >= -(-len(values) // size) * epochs


@given(hashes, st.integers(0, 5))
def test_seeds_and_epochs_differ_and_a_seed_repeats(values, seed):
    assert laid_out(values, seed=seed) == laid_out(values, seed=seed)
    if len(values) > 30:
        once, twice = laid_out(values, 1, 2, seed)[: len(values)], laid_out(values, 1, 2, seed)[len(values) :]
        assert once != twice
        assert laid_out(values, seed=seed) != laid_out(values, seed=seed + 1)


@given(hashes, st.data())
def test_rows_that_two_arms_share_come_in_the_same_order(values, data):
    kept = data.draw(st.lists(st.sampled_from(values), unique=True, min_size=1))
    size = 400  # one window, one batch: what is left is the order by hash
    whole = [values[row] for batch in laid_out(values, size) for row in batch]
    part = [kept[row] for batch in laid_out(kept, size) for row in batch]
    assert [value for value in whole if value in set(kept)] == part


def test_rows_of_like_length_share_a_batch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 200, 640).tolist()
    values = rng.integers(0, 2**63, 640).tolist()
    found = laid_out(values, 16, 1, 0, lengths)
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in found)
    assert sum(lengths) / padded > 0.85
    assert len(values) > WINDOW * 16  # more than one window took part
