import hashlib
from bisect import bisect_left
from operator import gt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from composer.config import EditConfig, MixtureConfig
from composer.errors import ConfigError
from composer.mixture import compose
from composer.mixture.ranking import Ranking

from .worlds import (
    Rows,
    by_rows,
    by_share,
    chosen,
    collide,
    counts,
    edits,
    grid,
    index_of,
    pools,
    reference,
    shares,
    sizes_of,
)

SEEDS = st.integers(0, 2**63 - 1)


def affordable(data: st.DataObject, rows: Rows, quotas: dict[str, float]) -> int:
    """A size for which no category is asked for more than it has."""
    available = [sum(sizes_of(rows, category).values()) for category in quotas]
    sizes = range(1, sum(available) + 1)
    # Counts only grow with the size.
    short = bisect_left(sizes, True, key=lambda size: any(map(gt, reference(size, list(quotas.values())), available)))
    assume(short)
    return data.draw(st.integers(1, short))


def categories_of(rows: Rows) -> list[str]:
    return sorted({category for _, category, _, _ in rows})


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in part)


@given(pools(min_size=2), SEEDS, st.data())
def test_counts_are_sainte_lague_by_category_and_by_stratum(rows: Rows, seed: int, data: st.DataObject) -> None:
    quotas = data.draw(shares(categories_of(rows)))
    size = affordable(data, rows, quotas)
    mixture = compose(index_of(rows), by_share(size, quotas, seed=seed))
    expected = dict(zip(quotas, reference(size, list(quotas.values())), strict=True))
    by_id = {name: (category, stratum, tokens) for name, category, stratum, tokens in rows}
    picked = [by_id[name] for name in chosen(index_of(rows), mixture)]
    assert len(picked) == len(set(chosen(index_of(rows), mixture))) == size
    for category, tally in mixture.categories.items():
        mine = [row for row in picked if row[0] == category]
        sizes = sizes_of(rows, category)
        assert tally.rows == tally.asked == len(mine) == expected[category]
        assert tally.tokens == sum(tokens for _, _, tokens in mine)
        assert tally.available == sum(sizes.values())
        wanted = dict(zip(sizes, reference(len(mine), list(sizes.values())), strict=True))
        for stratum, part in tally.strata.items():
            those = [row for row in mine if row[1] == stratum]
            assert part.rows == part.asked == len(those) == wanted[stratum]
            assert part.tokens == sum(tokens for _, _, tokens in those)
            assert part.available == sizes[stratum]


@given(pools(min_size=2), SEEDS, st.data())
def test_a_smaller_mixture_stands_in_a_larger_one_in_the_same_order(rows: Rows, seed: int, data: st.DataObject) -> None:
    quotas = data.draw(shares(categories_of(rows)))
    larger = affordable(data, rows, quotas)
    smaller = data.draw(st.integers(1, larger))
    index = collide(rows, data.draw(st.sampled_from([3, 2**63])))
    small, large = (chosen(index, compose(index, by_share(n, quotas, seed=seed))) for n in (smaller, larger))
    assert is_subsequence(small, large)


@given(pools(min_size=5), SEEDS, st.data())
def test_a_dose_of_one_category_only_adds_rows_and_all_others_are_shared(
    rows: Rows, seed: int, data: st.DataObject
) -> None:
    category = data.draw(st.sampled_from(categories_of(rows)))
    index = index_of(rows)
    base = by_rows({name: 3 for name in categories_of(rows)}, seed=seed)
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, sum(sizes_of(rows, category).values()))] * 2)))
    dose = [EditConfig(set={category: rows}, rest="fixed") for rows in (low, high)]
    assume(len(categories_of(rows)) > 1 or low)
    few, many = (chosen(index, compose(index, MixtureConfig(**{**vars(base), "edits": edits(e)}))) for e in dose)
    assert is_subsequence(few, many)
    assert all(name.startswith(f"{category}-") for name in set(many) - set(few))


@given(pools(min_size=5), SEEDS)
def test_replacing_a_category_leaves_the_rows_of_the_others(rows: Rows, seed: int) -> None:
    index, names = index_of(rows), categories_of(rows)
    assume(len(names) > 2)
    quotas = dict.fromkeys(names[:-1], 4)
    before = set(chosen(index, compose(index, by_rows(quotas, seed=seed))))
    swap = edits(EditConfig(replace={names[0]: names[-1]}))
    after = set(chosen(index, compose(index, by_rows(quotas, seed=seed, edits=swap))))
    assert {name.split("-")[0] for name in before - after} == {names[0]}
    assert {name.split("-")[0] for name in after - before} == {names[-1]}


@given(pools(min_size=2), SEEDS, st.data())
def test_new_rows_of_the_pool_displace_only_rows_that_rank_behind_them(
    rows: Rows, seed: int, data: st.DataObject
) -> None:
    """The law: of each stratum's old rows, those still chosen are a head of the old ranking.

    So an old row leaves only for a new row of its stratum, or because the stratum's count fell; one comes in only
    because the count rose; where a category got no new rows, and the counts are the same, nothing changes.
    """
    keep = data.draw(st.integers(1, len(rows)))
    old = rows[:keep]
    assume(categories_of(old) == categories_of(rows))
    quotas = data.draw(shares(categories_of(old)))
    size = affordable(data, old, quotas)
    before, after = index_of(old), index_of(rows)
    config = by_share(size, quotas, seed=seed)
    first, second = chosen(before, compose(before, config)), chosen(after, compose(after, config))
    known = {name for name, *_ in old}
    ranking = Ranking(before, seed)
    for place in range(len(before.strata)):
        ranked = before.ids.take(ranking.first(place, len(old))).to_pylist()
        kept = [name in second for name in ranked]
        assert kept == sorted(kept, reverse=True)
    stayed = set(first) & set(second)
    assert [name for name in first if name in stayed] == [name for name in second if name in stayed]
    grown = {category for _, category, _, _ in rows[keep:]}
    changed = {name.split("-")[0] for name in set(first) ^ set(second)}
    assert changed <= grown
    displaced, came = set(first) - set(second), set(second) - set(first)
    assert len(displaced) == len(came)
    if not came - known:  # No new row was taken: only the proportions of the strata may have moved.
        moved = {name.rsplit("-", 1)[0] for name in displaced}
        assert moved.isdisjoint({name.rsplit("-", 1)[0] for name in came})


@given(pools(), SEEDS, st.data())
def test_the_order_of_the_pool_and_of_the_quotas_do_not_matter(rows: Rows, seed: int, data: st.DataObject) -> None:
    quotas = data.draw(shares(categories_of(rows)))
    size = data.draw(st.integers(1, 30))
    config = by_share(size, quotas, seed=seed, shortage="repeat", max_repeats=100)
    other = by_share(size, dict(reversed(quotas.items())), seed=seed, shortage="repeat", max_repeats=100)
    shuffled = data.draw(st.permutations(rows))
    one, two = compose(index_of(rows), config), compose(index_of(shuffled), other)
    assert one.digest == two.digest
    assert one.categories == two.categories
    assert one.copies.tolist() == two.copies.tolist()


def test_the_digest_is_of_the_ids_in_order() -> None:
    index = index_of(grid(mcqa=[30], daily=[20]))
    mixture = compose(index, by_share(20, {"mcqa": 0.5, "daily": 0.5}))
    said = "".join(f"{name}\n" for name in chosen(index, mixture))
    assert mixture.digest == hashlib.sha256(said.encode()).hexdigest()
    assert mixture.positions.dtype == np.int64


def test_seeds_choose_different_rows_in_different_orders() -> None:
    index = index_of(grid(mcqa=[2000]))
    one, two = (set(chosen(index, compose(index, by_rows({"mcqa": 1000}, seed=seed)))) for seed in (0, 1))
    assert 380 < len(one & two) < 620  # half of them; it is 256 blocks that are shuffled


def test_the_export_is_a_shuffle_even_where_a_category_is_scarcely_sampled() -> None:
    index = index_of(grid(code=[4000], mcqa=[200]))
    mixture = compose(index, by_rows({"code": 200, "mcqa": 200}))
    is_code = [name.startswith("code") for name in chosen(index, mixture)]
    quarters = [sum(is_code[start : start + 100]) for start in range(0, 400, 100)]
    assert all(30 < quarter < 70 for quarter in quarters)


def test_a_row_is_as_likely_as_any_other() -> None:
    """Over many seeds each of 40 rows is chosen about half of the time."""
    index = index_of(grid(mcqa=[40]))
    seeds = 400
    taken = np.zeros(40)
    for seed in range(seeds):
        taken[compose(index, by_rows({"mcqa": 20}, seed=seed)).positions] += 1
    assert ((taken / seeds > 0.38) & (taken / seeds < 0.62)).all()


def test_unknown_categories_in_quotas_and_edits_are_all_named() -> None:
    index = index_of(grid(mcqa=[5], daily=[5]))
    with pytest.raises(ConfigError) as caught:
        compose(index, by_share(4, {"mcqa": 0.5, "mcq": 0.25, "daly": 0.25}, edits=edits(EditConfig(drop="a"))))
    assert caught.value.problems == [
        f"{said}: the pool has no such category; it must be one of daily, mcqa"
        for said in ("mixture.quotas.mcq is 0.25", "mixture.quotas.daly is 0.25", "mixture.edits.edit0.drop names a")
    ]


def test_a_category_with_a_share_of_zero_has_zero_rows() -> None:
    mixture = compose(index_of(grid(mcqa=[5], daily=[5])), by_share(4, {"mcqa": 1.0, "daily": 0.0}))
    assert counts(mixture) == {"daily": 0, "mcqa": 4}
