"""Sources on the hub, tried on a folder of the same shape as a data set there has: configs, shards, a split."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from composer.config_pool import HubConfig, SourceConfig
from composer.errors import NeedsError, PoolError

from .piles import accounted, built, bytes_of, pool_config

README = """---
configs:
- config_name: Law
  data_files: [{split: train, path: Law/train-*.parquet}, {split: test, path: Law/test.parquet}]
- config_name: Math
  data_files: [{split: train, path: Math/train-*.parquet}]
---
"""


@pytest.fixture(scope="module")
def kmmlu(tmp_path_factory):
    """As KMMLU is: a config a subject, the answer a number from 1, here of two shards each."""
    path = tmp_path_factory.mktemp("kmmlu")
    for subject in ("Law", "Math"):
        (path / subject).mkdir()
        for shard in range(2):
            rows = [
                {
                    "question": f"{subject} {shard} 문제 {n}?",
                    "answer": n % 4 + 1,
                    **{letter: f"{letter}{n}" for letter in "ABCD"},
                }
                for n in range(30)
            ]
            pq.write_table(pa.Table.from_pylist(rows), path / subject / f"train-{shard}.parquet")
    held = [{"question": "시험 문제", "answer": 1, **dict.fromkeys("ABCD", "x")}]
    pq.write_table(pa.Table.from_pylist(held), path / "Law" / "test.parquet")
    (path / "README.md").write_text(README, encoding="utf-8")
    return path


def source(path, **hub):
    letters = {f"choice {n}": letter for n, letter in enumerate("ABCD", 1)}
    return SourceConfig(
        hub=HubConfig(id=str(path), **hub),
        shape="choices",
        columns={"prompt": "question", **letters, "answer": "answer"},
        options={"answer": "1"},
        category="mcqa",
        stratum="{hub.config}",
        duplicates=["row"],
    )


def test_configs_and_shards_become_a_pool_the_same_by_any_number_of_workers(kmmlu, tmp_path):
    config = pool_config(tmp_path, {"kmmlu": source(kmmlu, config="*")})
    pool = built(config, tmp_path / "one")
    assert pool.facts["categories"] == {"mcqa": {"Law": 60, "Math": 60}} and accounted(pool)
    assert bytes_of(built(config, tmp_path / "two", workers=2).path) == bytes_of(pool.path)
    [row] = pool.take(np.zeros(1, np.int64)).to_pylist()
    asked, said = (turn["content"] for turn in row["messages"])
    number = asked.split(" 문제 ")[1].split("?")[0]
    right = f"{'ABCD'[int(number) % 4]}{number}"
    assert said == "정답: " + next(line[0] for line in asked.splitlines() if line.endswith(f". {right}"))


def test_one_config_is_read_alone(kmmlu, tmp_path):
    pool = built(pool_config(tmp_path, {"kmmlu": source(kmmlu, config="Math")}), tmp_path / "out")
    assert pool.facts["categories"] == {"mcqa": {"Math": 60}}


def test_a_config_that_is_not_there_and_columns_that_are_not_are_named(kmmlu, tmp_path):
    with pytest.raises(PoolError, match=r"has no config Chess\*: it has Law, Math"):
        built(pool_config(tmp_path, {"kmmlu": source(kmmlu, config="Chess*")}), tmp_path / "out")
    other = source(kmmlu, config="Law")
    other.columns["answer"] = "solution"
    with pytest.raises(PoolError, match="has no column solution: it has .*question"):
        built(pool_config(tmp_path, {"kmmlu": other}), tmp_path / "out")
    with pytest.raises(NeedsError, match="cannot be read"):
        built(pool_config(tmp_path, {"kmmlu": source(tmp_path / "nowhere")}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
