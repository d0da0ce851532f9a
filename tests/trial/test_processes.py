"""Two processes train as one does: the same rows a step, the same losses."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from trials import finish, history, make_trial


@pytest.mark.parametrize("packing", ["off", "best_fit"])
def test_two_processes_read_what_one_does_and_lose_as_much(tmp_path, packing):
    settings = (f"trainer.packing={packing}", "trainer.max_length=128", "trainer.long_rows=truncate")
    one, two = make_trial(tmp_path / "one", *settings), make_trial(tmp_path / "two", *settings)
    for folder, processes in ((one, 1), (two, 2)):
        code, said = finish(folder, processes)
        assert code == 0, said
    assert pq.read_table(one / "ledger.parquet").equals(pq.read_table(two / "ledger.parquet"))
    rows = [history(folder, "losses").select(["step", "place"]) for folder in (one, two)]
    assert rows[0].equals(rows[1])
    losses = [history(folder)["loss"].to_numpy() for folder in (one, two)]
    assert np.abs(losses[0] - losses[1])[:10].max() < 1e-5
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=0.01)
    records = [json.loads((folder / "record.json").read_text()) for folder in (one, two)]
    assert [record["training"]["processes"] for record in records] == [1, 2]
    assert records[0]["training"]["tokens"] == records[1]["training"]["tokens"]
