"""The ledger: every row once an epoch, known before anything runs."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from composer.config_trainer import TrainerConfig
from composer.trial.ledger import make_ledger
from composer.trial.tokens import Tokens


def tokens_with(lengths):
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    size = int(starts[-1])
    return Tokens(np.zeros(size, np.int32), np.ones(size, np.uint8), starts, np.arange(len(lengths)))


def config(**told):
    return TrainerConfig(name="test", **{"batch_size": 4, "max_length": 64, "epochs": 1, **told})


@given(st.lists(st.integers(2, 64), min_size=1, max_size=50), st.integers(1, 3), st.sampled_from([None, 0, 2]))
def test_every_row_is_read_once_an_epoch(lengths, epochs, gap):
    made = make_ledger(tokens_with(lengths), [f"row{i}" for i in range(len(lengths))],
                       config(epochs=epochs, packing="best_fit"), 0, gap)  # fmt: skip
    read = [example for step in range(1, len(made) + 1) for line in made.read(step) for example in line.tolist()]
    assert sorted(read) == sorted(list(range(len(lengths))) * epochs)
    for step in range(1, len(made) + 1):
        lines = made.read(step)
        assert sum(map(len, lines)) <= 4
        for line in lines:
            assert sum(lengths[one] for one in line) + (gap or 0) * (len(line) - 1) <= 64
            assert gap is not None or len(line) == 1


def test_packed_or_not_the_rows_of_a_step_are_the_same_where_lengths_are():
    tokens, ids = tokens_with([9] * 40), [f"row{i}" for i in range(40)]
    packed = make_ledger(tokens, ids, config(packing="best_fit"), 3, 0)
    assert packed.packed and len(packed) == 10
    assert max(len(packed.read(step)) for step in range(1, 11)) == 1


def test_training_ends_after_so_many_tokens():
    tokens, ids = tokens_with([10] * 20), [f"row{i}" for i in range(20)]
    made = make_ledger(tokens, ids, config(tokens=410), 0, None)
    assert len(made) == 11  # of 40 tokens each: two epochs are 400


def test_its_table_names_the_rows_of_each_step():
    tokens, ids = tokens_with([10, 20, 30, 40, 50]), list("abcde")
    table = pa.table({"id": ids, "category": list("xxyyy"), "stratum": list("sssst"), "source": list("uuuuv")})
    made = make_ledger(tokens, ids, config(packing="best_fit"), 0, 0)
    rows = made.rows(tokens, table)
    assert rows["step"].to_pylist() == [1] * 4 + [2]
    for step in (1, 2):
        told = [row for row in rows.to_pylist() if row["step"] == step]
        lines = made.read(step)
        assert [row["id"] for row in told] == [ids[one] for line in lines for one in line.tolist()]
        assert [row["block"] for row in told] == [place for place, line in enumerate(lines) for _ in line]
    [third] = [row for row in rows.to_pylist() if row["id"] == "c"]
    assert (third["category"], third["tokens"], third["learned"], third["place"]) == ("y", 30, 29, 2)
