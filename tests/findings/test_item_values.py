from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from composer.errors import FindingsError
from composer.findings.items import Group, read_items, read_paired

GROUP = Group("sums", "answer", "exact_match")


def write(run: Path, key: str, hashes: list[str], values: list[float | None], metric: str = "exact_match") -> Path:
    path = run / "trials" / key / "items.parquet"
    path.parent.mkdir(parents=True)
    columns = {
        "task": ["sums"] * len(hashes),
        "filter": ["answer"] * len(hashes),
        "metric": [metric] * len(hashes),
        "doc_id": pa.array(range(len(hashes)), pa.int64()),
        "doc_hash": hashes,
        "value": pa.array(values, pa.float64()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_items_meet_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    write(tmp_path, "one", ["a", "b", "c"], [1.0, 2.0, 3.0])
    write(tmp_path, "two", ["c", "a", "b"], [30.0, 10.0, 20.0])
    found = read_paired(tmp_path, ["one", "two"])
    assert np.array_equal(found["two"][GROUP], 10 * found["one"][GROUP])


def test_an_item_that_is_asked_twice_pairs_by_its_place(tmp_path: Path) -> None:
    write(tmp_path, "one", ["b", "a", "a"], [9.0, 1.0, 2.0])
    write(tmp_path, "two", ["b", "a", "a"], [9.0, 1.0, 2.0])
    found = read_paired(tmp_path, ["one", "two"])
    assert found["one"][GROUP].tolist() == found["two"][GROUP].tolist() == [1.0, 2.0, 9.0]


@pytest.mark.parametrize("hashes", [["a", "b"], ["a", "b", "d"], ["a", "b", "c", "c"]])
def test_items_that_do_not_pair_are_refused(tmp_path: Path, hashes: list[str]) -> None:
    write(tmp_path, "one", ["a", "b", "c"], [1.0, 1.0, 1.0])
    write(tmp_path, "two", hashes, [1.0] * len(hashes))
    with pytest.raises(FindingsError, match=r"task sums, filter answer, metric exact_match do not pair.*trial two has"):
        read_paired(tmp_path, ["one", "two"])


def test_a_metric_that_only_one_trial_has_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "one", ["a"], [1.0])
    write(tmp_path, "two", ["a"], [1.0], metric="f1")
    with pytest.raises(FindingsError, match="metric exact_match and trial two has none"):
        read_paired(tmp_path, ["one", "two"])


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused(tmp_path: Path, bad: float | None) -> None:
    path = write(tmp_path, "one", ["a", "b"], [1.0, bad])
    with pytest.raises(FindingsError, match="1 values that are not finite numbers.*item 1 of task sums"):
        read_items(path)


def test_a_file_that_is_absent_or_lacks_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FindingsError, match="is absent"):
        read_items(tmp_path / "items.parquet")
    pq.write_table(pa.table({"task": ["sums"]}), tmp_path / "items.parquet")
    with pytest.raises(FindingsError, match="lacks the columns doc_hash, doc_id, filter, metric, value"):
        read_items(tmp_path / "items.parquet")
