from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.config import MixtureConfig
from composer.errors import ConfigError, ShortageError
from composer.mixture import compose
from composer.mixture.quotas import count_rows
from composer.mixture.ranking import Ranking
from composer.pool import Index

from .worlds import Rows, by_rows, chosen, counts, grid, index_of, pools


def by_tokens(budgets: dict[str, int], **more: object) -> MixtureConfig:
    config = MixtureConfig(by="tokens", quotas=dict(budgets), **more)  # type: ignore[arg-type]
    assert not list(config.problems())
    return config


@given(pools(), st.integers(0, 2**63 - 1), st.data())
def test_a_token_budget_takes_the_most_rows_that_fit_it(rows: Rows, seed: int, data: st.DataObject) -> None:
    index = index_of(rows)
    category = data.draw(st.sampled_from(index.categories))
    every = sum(tokens for _, of, _, tokens in rows if of == category)
    budget = data.draw(st.integers(51, max(51, 3 * every)))
    free = {"seed": seed, "shortage": "repeat", "max_repeats": 500}
    taken = compose(index, by_tokens({category: budget}, **free))
    n = counts(taken)[category]
    assert taken.tokens <= budget
    same, one_more = (compose(index, by_rows({category: n + k}, **free)) for k in (0, 1))
    assert same.digest == taken.digest
    assert one_more.tokens > budget


@given(pools(), st.integers(50, 300), st.integers(0, 300))
def test_a_larger_token_budget_only_adds_rows(rows: Rows, budget: int, more: int) -> None:
    index = index_of(rows)
    category = index.categories[0]
    small, large = (
        compose(index, by_tokens({category: n}, shortage="repeat", max_repeats=500)) for n in (budget, budget + more)
    )
    assert not Counter(chosen(index, small)) - Counter(chosen(index, large))


def test_a_row_without_tokens_still_fits() -> None:
    rows = [(f"r{i}", "mcqa", "s", 0 if i else 5) for i in range(20)]
    index = index_of(rows)
    assert len(compose(index, by_tokens({"mcqa": 4}, shortage="error"))) < 20
    with pytest.raises(ConfigError, match="mixture.quotas.mcqa is 4 tokens: the rows of mcqa have none"):
        compose(index_of(rows[1:]), by_tokens({"mcqa": 4}))


def in_one_stratum(tokens: list[int]) -> Index:
    """An index of as many rows, which have these tokens in the order of their ranks."""
    plain = index_of(grid(mcqa=[len(tokens)]))
    names = plain.ids.take(Ranking(plain, 0).first(0, len(tokens))).to_pylist()
    return index_of([(name, "mcqa", "s0", of) for name, of in zip(names, tokens, strict=True)])


def test_a_budget_far_from_the_guess_is_still_met() -> None:
    """The first rows by rank are made long, so that the first guess of the count is far too high, then too low."""
    for long in (range(100), range(1000, 3000)):
        in_order = [1000 if rank in long else 1 for rank in range(3000)]
        index = in_one_stratum(in_order)
        budget = 50_050
        expected = max(n for n in range(3001) if sum(in_order[:n]) <= budget)
        assert count_rows(by_tokens({"mcqa": budget}), Ranking(index, 0)) == {"mcqa": expected}


def test_rows_without_tokens_are_taken_as_long_as_the_budget_holds() -> None:
    index = in_one_stratum([1] * 100 + [0] * 2000 + [1000] * 1000)
    assert counts(compose(index, by_tokens({"mcqa": 100}))) == {"mcqa": 2100}


def test_a_budget_above_all_tokens_is_a_shortage() -> None:
    with pytest.raises(ShortageError, match="asked"):
        compose(index_of(grid(mcqa=[10], daily=[90])), by_tokens({"mcqa": 1000}))


def test_quotas_that_give_no_row_are_refused() -> None:
    with pytest.raises(ConfigError, match="mixture.quotas give no rows with mixture.by=tokens"):
        compose(index_of(grid(mcqa=[10])), by_tokens({"mcqa": 5}))


@given(pools(min_size=6), st.data())
def test_row_quotas_are_taken_as_they_are(rows: Rows, data: st.DataObject) -> None:
    index = index_of(rows)
    quotas = {name: data.draw(st.integers(1, 6)) for name in index.categories}
    assert counts(compose(index, by_rows(quotas))) == quotas
