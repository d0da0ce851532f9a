"""Pools: built whole, deterministic, read by position; rows of the user's own."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.config_pool import HubConfig, PoolConfig, SourceConfig
from composer.errors import NeedsError, PoolError
from composer.pool import Index, Pool, Row, build_pool, open_pool, row_hash
from composer.pool.store import ROW_SCHEMA


def rows(count, category="a"):
    for number in range(count):
        yield Row((("user", f"q{number}"), ("assistant", "<think>x</think>y")), category, f"s{number % 3}", "test")


def count_tokens(messages):
    return np.array([sum(len(turn["content"]) for turn in turns) for turns in messages.to_pylist()], np.int64)


@pytest.fixture(scope="module")
def mini():
    return open_pool(PoolConfig(name="mini", kind="mini", rows=4000))


def test_a_pool_is_whole_and_says_what_it_holds(tmp_path):
    build_pool(tmp_path / "p", "mine", [*rows(10), *rows(4)], count_tokens)
    pool = Pool.open(tmp_path / "p")
    assert (pool.facts["rows"], pool.facts["duplicates"]) == (10, 4)
    assert pool.facts["categories"] == {"a": {"s0": 4, "s1": 3, "s2": 3}}
    index = pq.read_table(tmp_path / "p" / "index.parquet")
    assert index.column_names == ["id", "category", "stratum", "mode", "source", "n_chars", "n_tokens", "hash"]
    assert index["hash"].to_pylist() == [row_hash(i) for i in index["id"].to_pylist()]


def test_the_order_of_the_source_does_not_matter(tmp_path):
    build_pool(tmp_path / "p", "mine", rows(50), count_tokens)
    build_pool(tmp_path / "q", "mine", reversed(list(rows(50))), count_tokens)
    for name in ("index.parquet", "rows/00000.parquet", "pool.json"):
        assert (tmp_path / "p" / name).read_bytes() == (tmp_path / "q" / name).read_bytes()


def test_an_empty_or_broken_source_leaves_nothing(tmp_path):
    with pytest.raises(PoolError, match="no rows"):
        build_pool(tmp_path / "p", "mine", [], count_tokens)
    assert not any(tmp_path.iterdir())


@given(st.lists(st.integers(0, 3999), max_size=40))
def test_rows_come_in_the_order_asked_with_repeats(positions):
    pool = open_pool(PoolConfig(name="mini", kind="mini", rows=4000))
    places = [place % len(pool.index) for place in positions]
    taken = pool.take(np.array(places, dtype=np.int64))
    assert taken["id"].to_pylist() == pool.index.ids.take(np.array(places, np.int64)).to_pylist()


def test_the_index_agrees_with_the_rows(mini):
    table = pq.read_table(mini.path / "rows")
    again = Index.from_rows(*(table[name].to_pylist() for name in ("id", "category", "stratum", "n_tokens")))
    assert again.strata == mini.index.strata
    assert again.sizes == mini.index.sizes
    for name in ("stands", "n_tokens"):
        assert (getattr(again, name) == getattr(mini.index, name)).all()
    assert again.ids.to_pylist() == mini.index.ids.to_pylist()
    assert mini.take(np.arange(len(mini.index))).equals(table.select(ROW_SCHEMA.names).cast(ROW_SCHEMA))


def test_the_mini_pool_grows_by_adding(mini):
    larger = open_pool(PoolConfig(name="mini", kind="mini", rows=8000))
    assert set(mini.index.ids.to_pylist()) < set(larger.index.ids.to_pylist())


def test_tokens_are_what_the_model_reads(mini):
    from transformers import AutoTokenizer

    from composer.resources import base_model
    from composer.trial.chat import tokenise

    table = mini.take(np.arange(0, len(mini.index), 97))
    tokenizer = AutoTokenizer.from_pretrained(base_model())
    examples = tokenise(tokenizer, table["messages"].to_pylist(), table["id"].to_pylist())
    assert [len(example.ids) for example in examples] == table["n_tokens"].to_pylist()


def test_a_folder_that_is_no_pool_and_a_hub_pool_are_refused(tmp_path):
    with pytest.raises(PoolError, match=r"lacks pool.json, index.parquet, order.arrow, rows"):
        open_pool(PoolConfig(name="folder", kind="folder", path=str(tmp_path)))
    hub = SourceConfig(hub=HubConfig(id="HAERAE-HUB/KMMLU"), shape="messages", category="mcqa")
    with pytest.raises(NeedsError, match="network, which reads HAERAE-HUB/KMMLU: build it once"):
        open_pool(PoolConfig(name="ko", kind="sources", sources={"mcqa": hub}))
