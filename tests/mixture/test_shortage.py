from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.config import EditConfig
from composer.errors import ShortageError
from composer.mixture import compose
from composer.mixture.ranking import Ranking

from .worlds import Rows, by_rows, by_share, chosen, counts, edits, grid, index_of, pools, reference, shares, sizes_of

SEEDS = st.integers(0, 2**63 - 1)


def available(rows: Rows, category: str) -> int:
    return sum(sizes_of(rows, category).values())


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(item in rest for item in part)


@given(pools(max_size=8), SEEDS, st.integers(1, 4), st.data())
def test_repeat_gives_whole_passes_and_then_the_first_by_rank(
    rows: Rows, seed: int, most: int, data: st.DataObject
) -> None:
    index = index_of(rows)
    quotas = {name: data.draw(st.integers(1, most * available(rows, name))) for name in index.categories}
    mixture = compose(index, by_rows(quotas, seed=seed, shortage="repeat", max_repeats=most))
    assert counts(mixture) == quotas
    times = Counter(chosen(index, mixture))
    ranking = Ranking(index, seed)
    for place, (category, stratum) in enumerate(index.strata):
        ranked = index.ids.take(ranking.first(place, len(rows))).to_pylist()
        asked = mixture.categories[category].strata[stratum].asked
        passes, left = divmod(asked, len(ranked))
        assert [times[name] for name in ranked] == [passes + (rank < left) for rank in range(len(ranked))]
    copies: dict[str, set[int]] = {}
    for name, copy in zip(chosen(index, mixture), mixture.copies.tolist(), strict=True):
        copies.setdefault(name, set()).add(copy)
    assert copies == {name: set(range(n)) for name, n in times.items()}
    assert max(times.values()) <= most


@given(pools(max_size=8), SEEDS, st.data())
def test_repeated_mixtures_are_nested_too(rows: Rows, seed: int, data: st.DataObject) -> None:
    index = index_of(rows)
    quotas = data.draw(shares(index.categories))
    sizes = sorted(data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60))))
    small, large = (
        chosen(index, compose(index, by_share(size, quotas, seed=seed, shortage="repeat", max_repeats=100)))
        for size in sizes
    )
    assert is_subsequence(small, large)


def test_copies_do_not_stand_beside_each_other() -> None:
    index = index_of(grid(mcqa=[100]))
    names = chosen(index, compose(index, by_rows({"mcqa": 400}, shortage="repeat")))
    assert sum(one == two for one, two in zip(names, names[1:], strict=False)) < 20


@given(pools(max_size=12), SEEDS, st.data())
def test_redistribute_is_capped_sainte_lague_with_the_same_shares(rows: Rows, seed: int, data: st.DataObject) -> None:
    index = index_of(rows)
    quotas = data.draw(shares(index.categories))
    caps = [available(rows, name) for name in quotas]
    room = sum(cap for cap, share in zip(caps, quotas.values(), strict=True) if share)
    size = data.draw(st.integers(1, room))
    mixture = compose(index, by_share(size, quotas, seed=seed, shortage="redistribute"))
    names = chosen(index, mixture)
    assert len(set(names)) == len(names) == size
    assert list(counts(mixture).values()) == reference(size, list(quotas.values()), caps)
    assert [tally.asked for tally in mixture.categories.values()] == reference(size, list(quotas.values()))
    for category, tally in mixture.categories.items():
        sizes = list(sizes_of(rows, category).values())
        assert [part.rows for part in tally.strata.values()] == reference(tally.rows, sizes, sizes)
    smaller = data.draw(st.integers(1, size))
    part = chosen(index, compose(index, by_share(smaller, quotas, seed=seed, shortage="redistribute")))
    assert is_subsequence(part, names)


@given(pools(max_size=12), SEEDS, st.data())
def test_redistribute_after_edits_gives_no_category_less_than_it_asks_or_has(
    rows: Rows, seed: int, data: st.DataObject
) -> None:
    index = index_of(rows)
    quotas = {name: data.draw(st.integers(1, 2 * available(rows, name))) for name in index.categories}
    grow = edits(EditConfig(set={index.categories[0]: 1}, rest="fixed"))
    config = by_rows(quotas, seed=seed, shortage="redistribute", edits=grow)
    total = sum(quotas.values()) - quotas[index.categories[0]] + 1
    if total > len(rows):
        with pytest.raises(
            ShortageError, match=f"asks for {total} rows and all its categories together have {len(rows)}"
        ):
            compose(index, config)
        return
    mixture = compose(index, config)
    assert len(mixture) == total
    assert all(tally.rows >= min(tally.asked, tally.available) for tally in mixture.categories.values())


def test_without_a_shortage_the_policies_are_one() -> None:
    index = index_of(grid(mcqa=[20, 10], daily=[30]))
    digests = {
        compose(index, by_share(40, {"mcqa": 0.6, "daily": 0.4}, shortage=policy)).digest
        for policy in ("error", "repeat", "redistribute")
    }
    assert len(digests) == 1


def refused(**more: object) -> str:
    index = index_of(grid(mcqa=[10, 20], daily=[100], code=[3]))
    with pytest.raises(ShortageError) as caught:
        compose(index, by_rows({"mcqa": 60, "daily": 20, "code": 4}, **more))
    return str(caught.value)


def test_every_short_stratum_is_named_with_what_to_do() -> None:
    assert refused().splitlines() == [
        "the mixture asks for more rows than the pool has of",
        "  category code, stratum s0: asked 4, available 3",
        "  category mcqa, stratum s0: asked 20, available 10",
        "  category mcqa, stratum s1: asked 40, available 20",
        "ask for fewer rows, or set mixture.shortage=repeat or mixture.shortage=redistribute",
    ]


def test_past_the_cap_of_repeats_the_cap_is_named() -> None:
    assert refused(shortage="repeat", max_repeats=1).splitlines() == [
        "the mixture asks for more than mixture.max_repeats=1 times the rows of",
        "  category code, stratum s0: asked 4, available 3",
        "  category mcqa, stratum s0: asked 20, available 10",
        "  category mcqa, stratum s1: asked 40, available 20",
        "raise mixture.max_repeats, ask for fewer rows, or set mixture.shortage=redistribute",
    ]


def test_a_size_above_the_whole_pool_is_one_clear_message() -> None:
    index = index_of(grid(mcqa=[10], daily=[20]))
    with pytest.raises(ShortageError) as caught:
        compose(index, by_share(10**12, {"mcqa": 0.5, "daily": 0.5}))
    assert str(caught.value) == (
        "the mixture asks for 1000000000000 rows (mixture.size=1000000000000) and the whole pool has 30: "
        "ask for fewer, or set mixture.shortage=repeat to let rows stand in it more than once"
    )


def test_a_category_without_a_share_does_not_step_in() -> None:
    index = index_of(grid(mcqa=[10], daily=[20], code=[50]))
    config = by_share(40, {"mcqa": 0.5, "daily": 0.5, "code": 0.0}, shortage="redistribute")
    with pytest.raises(ShortageError, match="asks for 40 rows and all its categories together have 30"):
        compose(index, config)


@given(pools(min_size=4, max_size=12), SEEDS, st.integers(2, 8), st.data())
def test_a_proxy_repeats_its_rows_as_the_mixture_that_it_stands_for(
    rows: Rows, seed: int, ratio: int, data: st.DataObject
) -> None:
    index = index_of(rows)
    quotas = data.draw(shares(index.categories))
    size = data.draw(st.integers(1, 60))
    large = compose(index, by_share(ratio * size, quotas, seed=seed, shortage="repeat", max_repeats=1000))
    asked = by_share(size, quotas, seed=seed, shortage="repeat", max_repeats=1000, proxy_of=ratio * size)
    small = compose(index, asked)
    assert len(small) == size and set(chosen(index, small)) <= set(chosen(index, large))
    for place, stratum in enumerate(index.strata):
        of_size = Ranking(index, seed).sizes[place]
        for name, mixture, usable in (("large", large, of_size), ("small", small, -(-of_size // ratio))):
            taken = mixture.categories[stratum[0]].strata[stratum[1]].rows if stratum[0] in mixture.categories else 0
            here = index.stratum(mixture.positions) == place
            distinct = len(set(mixture.positions[here].tolist()))
            assert distinct == min(taken, usable), name


def test_a_proxy_without_repeats_takes_what_it_always_took() -> None:
    index = index_of(grid(mcqa=[40], think=[60]))
    for shortage in ("error", "redistribute", "repeat"):
        plain = by_share(20, {"mcqa": 0.5, "think": 0.5}, shortage=shortage)
        asked = by_share(20, {"mcqa": 0.5, "think": 0.5}, shortage=shortage, proxy_of=40)
        assert compose(index, asked).digest == compose(index, plain).digest


def test_a_tenth_of_a_mixture_repeats_its_few_rows_ten_times_too() -> None:
    index = index_of(grid(mcqa=[10], think=[200]))
    asked = {"mcqa": 0.5, "think": 0.5}
    small = compose(index, by_share(20, asked, shortage="repeat", max_repeats=10, proxy_of=200))
    times = Counter(chosen(index, small))
    assert times.pop("mcqa-0-" + next(n for n in times if n.startswith("mcqa")).rsplit("-", 1)[1]) == 10
    assert set(times.values()) == {1} and len(times) == 10
