import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.mixture.ranking import Ranking, export_keys, rank_keys
from composer.pool.hashes import mix, standings

from .worlds import Rows, collide, pools

WORDS = np.random.default_rng(0).integers(0, 2**64, 4096, dtype=np.uint64)
STANDS = standings(WORDS)


def test_mix_is_splitmix64() -> None:
    # The first draws of Java's SplittableRandom(0), as published with the algorithm.
    golden = 0x9E3779B97F4A7C15
    states = np.array([golden, 2 * golden % 2**64, 3 * golden % 2**64], np.uint64)
    assert [hex(word) for word in mix(states)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


@pytest.mark.parametrize("bit", range(64))
def test_every_bit_of_a_hash_stirs_half_the_bits_of_its_key(bit: int) -> None:
    flipped = rank_keys(standings(WORDS ^ np.uint64(1 << bit)), 7) ^ rank_keys(STANDS, 7)
    assert abs(np.bitwise_count(flipped).mean() - 32) < 0.5


def test_seeds_and_copies_give_unrelated_orders() -> None:
    zero, one = rank_keys(STANDS, 0), rank_keys(STANDS, 1)
    first = export_keys(zero, np.zeros(len(WORDS), np.int64))
    second = export_keys(zero, np.ones(len(WORDS), np.int64))
    orders = [keys.argsort().argsort() for keys in (WORDS, zero, one, first, second)]
    related = np.corrcoef(orders) - np.eye(len(orders))
    # Between seeds it is 256 blocks that are shuffled, not single rows.
    assert abs(related[1, 2]) < 4 / np.sqrt(256)
    related[1, 2] = related[2, 1] = 0
    assert abs(related).max() < 4 / np.sqrt(len(WORDS))


def test_samples_of_two_seeds_share_as_many_rows_as_chance_has_it() -> None:
    share, samples = 0.02, [rank_keys(STANDS, seed) < np.uint64(0.02 * 2**64) for seed in range(200)]
    both = [(one & other).sum() for at, one in enumerate(samples) for other in samples[:at]]
    assert abs(np.mean(samples) - share) < 0.001
    assert abs(np.mean(both) / (len(WORDS) * share**2) - 1) < 0.15


def test_the_first_rows_of_a_seed_lie_in_few_runs_of_the_order_of_seed_0() -> None:
    order = rank_keys(STANDS, 0).argsort()
    for seed in range(10):
        taken = np.isin(order, rank_keys(STANDS, seed).argsort()[: len(WORDS) // 100])
        assert (np.diff(taken.astype(int)) == 1).sum() <= 8


@given(pools(), st.integers(0, 2**63 - 1), st.integers(0, 60), st.sampled_from([2, 5, 2**63]))
def test_first_is_the_head_of_the_stratum_sorted_by_key_and_id(rows: Rows, seed: int, n: int, kinds: int) -> None:
    index = collide(rows, kinds)
    ranking = Ranking(index, seed)
    keys, names = rank_keys(index.stands, seed), index.ids.to_pylist()
    for place, pair in enumerate(index.strata):
        members = [names.index(name) for name, *of, _ in rows if tuple(of) == pair]
        assert ranking.sizes[place] == len(members)
        expected = sorted(members, key=lambda row: (keys[row], names[row]))
        assert ranking.first(place, n).tolist() == expected[:n]
