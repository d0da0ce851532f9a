import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from composer.config import EditConfig, MixtureConfig
from composer.errors import OutputError
from composer.mixture import Mixture, compose, export, manifest
from composer.pool import Pool, Row, build_pool
from composer.pool.store import ROW_SCHEMA

from .worlds import by_rows, by_share, edits

THOUGHT = {"think": "<think>음</think>"}


def rows() -> list[Row]:
    return [
        Row(
            (("user", f"질문 {i} of {category}"), ("assistant", THOUGHT.get(category, "") + "답 " * (1 + i % 13))),
            category,
            f"s{i % 3}",
            "here",
        )
        for category, size in (("mcqa", 9000), ("think", 3000), ("daily", 600))
        for i in range(size)
    ]


def count_tokens(messages: pa.ListArray) -> NDArray[np.int64]:
    return np.array([sum(len(turn["content"]) for turn in turns) for turns in messages.to_pylist()], np.int64)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    path = tmp_path_factory.mktemp("pools") / "pool"
    build_pool(path, "test-pool", rows(), count_tokens)
    return Pool.open(path)


LARGE = by_share(11_000, {"mcqa": 0.75, "think": 0.2, "daily": 0.05}, shortage="repeat", seed=3)
SMALL = by_rows({"mcqa": 30, "daily": 20})


def written(pool: Pool, out: Path, config: MixtureConfig, workers: int = 1) -> tuple[Mixture, dict[str, Any]]:
    mixture = compose(pool.index, config)
    return mixture, export(mixture, pool, out, config, workers)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("config", [LARGE, SMALL], ids=["large", "small"])
def test_the_rows_are_the_mixture_in_its_order(pool: Pool, tmp_path: Path, config: MixtureConfig) -> None:
    mixture, _ = written(pool, tmp_path / "out", config)
    shards = sorted((tmp_path / "out/data").iterdir())
    assert len(shards) == (2 if config is LARGE else 1)
    got = pq.read_table(shards)
    assert got.schema.names == ["id", "messages", "category", "stratum", "source", "mode", "n_tokens"]
    assert got.schema.equals(ROW_SCHEMA)
    assert got["id"].to_pylist() == pool.index.ids.take(mixture.positions).to_pylist()
    known = {row.id: row for row in rows()}
    for row in got.slice(0, 500).to_pylist():
        said = known[row["id"]]
        assert [tuple(turn.values()) for turn in row["messages"]] == list(said.messages)
        assert (row["category"], row["stratum"]) == (said.category, said.stratum)
        assert row["mode"] == ("think" if row["category"] == "think" else "no_think")
        assert row["n_tokens"] == sum(len(content) for _, content in said.messages)


def test_bytes_do_not_depend_on_workers_or_the_run(pool: Pool, tmp_path: Path) -> None:
    for workers in (1, 3):
        written(pool, tmp_path / f"out{workers}", LARGE, workers)
    one = files(tmp_path / "out1")
    assert sorted(one) == [
        "README.md",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "manifest.json",
    ]
    assert one == files(tmp_path / "out3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out1", "out3"]


def test_the_manifest_tells_asked_and_realised(pool: Pool, tmp_path: Path) -> None:
    config = by_rows(
        {"mcqa": 30, "daily": 900}, shortage="repeat", edits=edits(EditConfig(set={"mcqa": 60}, rest="fixed"))
    )
    mixture, said = written(pool, tmp_path / "out", config)
    assert said == json.loads((tmp_path / "out/manifest.json").read_text())
    assert said == manifest(mixture, pool.name, pool.digest, config)
    got = pq.read_table(tmp_path / "out/data")
    ids = got["id"].to_pylist()
    daily = said["categories"].pop("daily")
    assert daily.pop("tokens") == sum(
        t for t, c in zip(*(got[n].to_pylist() for n in ("n_tokens", "category")), strict=True) if c == "daily"
    )
    strata = daily.pop("strata")
    assert daily == {"asked": 900, "rows": 900, "share": 900 / 960, "available": 600}
    assert {name: (of["asked"], of["rows"], of["available"]) for name, of in strata.items()} == dict.fromkeys(
        ("s0", "s1", "s2"), (300, 300, 200)
    )
    assert said.pop("categories")["mcqa"]["rows"] == 60
    assert said == {
        "version": 1,
        "composer": said["composer"],
        "by": "rows",
        "size": None,
        "seed": 0,
        "shortage": "repeat",
        "max_repeats": 4,
        "quotas": {"daily": 900, "mcqa": 30},
        "edits": {"edit0": {"set": {"mcqa": 60}, "rest": "fixed"}},
        "rows": 960,
        "tokens": sum(got["n_tokens"].to_pylist()),
        "repeated": len(ids) - len(set(ids)),
        "pool": {"name": "test-pool", "digest": pool.digest},
        "digest": hashlib.sha256("".join(f"{name}\n" for name in ids).encode()).hexdigest(),
    }
    assert said["repeated"] == 300


def test_asked_stays_what_it_was_before_rows_were_redistributed(pool: Pool) -> None:
    config = by_rows({"daily": 900, "mcqa": 100}, shortage="redistribute")
    said = manifest(compose(pool.index, config), "p", "d", config)["categories"]
    assert {name: (of["asked"], of["rows"]) for name, of in said.items()} == {"daily": (900, 600), "mcqa": (100, 400)}


def test_datasets_loads_the_folder_and_the_files(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out"
    mixture, _ = written(pool, out, LARGE)
    cache = str(tmp_path / "cache")
    for loaded in (
        datasets.load_dataset(str(out), split="train", cache_dir=cache),
        datasets.load_dataset("parquet", data_files=str(out / "data/*.parquet"), split="train", cache_dir=cache),
    ):
        assert loaded.column_names == ROW_SCHEMA.names
        assert list(loaded["id"]) == pool.index.ids.take(mixture.positions).to_pylist()
        assert loaded[0]["messages"][0]["role"] == "user"


def test_the_card_gives_a_recipe_that_composes_the_same_again(pool: Pool, tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    config = by_share(
        400, {"mcqa": 0.7, "daily": 0.3}, seed=5, edits=edits(EditConfig(share={"think": 0.1}), EditConfig(scale=0.3))
    )
    mixture, _ = written(pool, tmp_path / "out", config)
    text = (tmp_path / "out/README.md").read_text()
    front = OmegaConf.create(text.split("---\n")[1])
    assert front.configs[0].data_files[0].path == "data/*.parquet"
    recipe = OmegaConf.create(text.split("```yaml\n")[1].split("```")[0])
    again: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(MixtureConfig), recipe.mixture))
    assert compose(pool.index, again).digest == mixture.digest
    for category, tally in mixture.categories.items():
        assert f"| {category} | {tally.asked:,} | {tally.rows:,} | {tally.rows / 120:.2%} | {tally.tokens:,} |" in text
    assert "| total | 120 | 120 | 100.00% |" in text


def test_the_same_mixture_is_left_as_it_is(pool: Pool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, first = written(pool, out, SMALL)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    _, second = written(pool, out, SMALL)
    assert first == second
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_an_empty_folder_is_filled(pool: Pool, tmp_path: Path) -> None:
    written(pool, tmp_path, SMALL)
    assert (tmp_path / "manifest.json").is_file()


def other_mixture(pool: Pool, out: Path) -> None:
    written(pool, out, by_rows({"mcqa": 30, "daily": 20}, seed=1))


def stray_file(pool: Pool, out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")


def plain_file(pool: Pool, out: Path) -> None:
    out.write_text("mine")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            other_mixture,
            "holds another mixture, which differs in seed, tokens, digest, categories: choose another out=",
        ),
        (stray_file, "holds other files, such as notes.txt: choose another out="),
        (plain_file, "is a file: choose another out="),
    ],
)
def test_what_stands_there_is_not_overwritten(
    pool: Pool, tmp_path: Path, make: Callable[[Pool, Path], None], said: str
) -> None:
    out = tmp_path / "out"
    make(pool, out)
    before = files(tmp_path)
    with pytest.raises(OutputError, match=said):
        written(pool, out, SMALL)
    assert files(tmp_path) == before


def test_a_failed_export_leaves_nothing(pool: Pool, tmp_path: Path) -> None:
    mixture = compose(pool.index, SMALL)
    gone = Pool(tmp_path / "not-there", pool.facts)
    with pytest.raises(Exception, match="."):
        export(mixture, gone, tmp_path / "out", SMALL)
    assert list(tmp_path.iterdir()) == []
