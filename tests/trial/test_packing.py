"""Packing loses no document, holds to the line's length, and leaves little of it empty."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from composer.trial.packing import best_fit, shares

lengths = st.lists(st.integers(1, 50), max_size=60)


@given(lengths, st.integers(50, 90), st.integers(0, 3))
def test_every_document_stands_in_one_line_that_holds_it(documents, capacity, gap):
    lines = best_fit(documents, capacity, gap)
    assert sorted(place for line in lines for place in line) == list(range(len(documents)))
    for line in lines:
        assert sum(documents[place] for place in line) + gap * (len(line) - 1) <= capacity
        assert line == sorted(line)


@given(lengths, st.integers(50, 90))
def test_no_two_lines_would_fit_in_one_and_so_at_least_half_is_full(documents, capacity):
    sums = sorted(sum(documents[place] for place in line) for line in best_fit(documents, capacity))
    assert len(sums) < 2 or sums[0] + sums[1] > capacity


def test_many_documents_of_real_spread_fill_their_lines():
    rng = np.random.default_rng(0)
    documents = np.clip(rng.lognormal(6.5, 1.0, 2000), 16, 4096).astype(int).tolist()
    assert sum(documents) / (4096 * len(best_fit(documents, 4096))) > 0.98


@given(lengths, st.integers(1, 5))
def test_lines_are_dealt_whole_and_evenly(sizes, parts):
    dealt = shares(sizes, parts)
    assert sorted(place for part in dealt for place in part) == list(range(len(sizes)))
    loads = [sum(sizes[place] for place in part) for part in dealt]
    assert max(loads) - min(loads) <= max(sizes, default=0)
