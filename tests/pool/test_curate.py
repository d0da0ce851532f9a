"""Curating: every row is kept or thrown out with a reason; the same pool in any order, by any number of workers."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from composer.config_pool import ContaminationConfig, DuplicatesConfig, ItemsConfig, NoThinkConfig, SourceConfig
from composer.errors import ConfigError, NeedsError, OutputError, PoolError, UnfinishedError
from composer.pool import open_pool
from composer.pool.curate.build import build, plan
from composer.pool.hashes import row_hash, standings

from .piles import (
    accounted,
    built,
    bytes_of,
    daily,
    daily_source,
    pool_config,
    reasoning,
    reasoning_source,
    turns,
    write_lines,
)


def reasons(pool, source):
    return pool.facts["sources"][source]["rejects"]


def rejects(pool):
    return pa.concat_tables([pq.read_table(one) for one in sorted((pool.path / "rejects").glob("*"))]).to_pylist()


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    """Two sources with a few faults each."""
    path = tmp_path_factory.mktemp("pile")
    english = {**reasoning(900), "response": "It is 1801."}
    wrong = {**reasoning(901), "right": "5"}
    unclosed = {**reasoning(902), "thinking": "", "response": "<think>음… 답은 1805입니다."}
    write_lines(path / "reasoning.jsonl", [*map(reasoning, range(300)), english, wrong, unclosed, reasoning(7)])
    write_lines(path / "daily-1.jsonl", [daily(number) for number in range(200)])
    write_lines(path / "daily-2.jsonl", [daily(number) for number in range(150, 400)])
    with (path / "daily-2.jsonl").open("ab") as file:
        file.write(b"{broken\n" + '{"messages": "\xff"}\n'.encode("latin-1"))
    return path


@pytest.fixture(scope="module")
def config(pile):
    return pool_config(pile, {"reasoning": reasoning_source(), "daily": daily_source()})


@pytest.fixture(scope="module")
def pool(config, tmp_path_factory):
    return built(config, tmp_path_factory.mktemp("pools") / "pool")


def test_every_row_is_kept_or_thrown_out_with_a_reason(pool):
    assert accounted(pool)
    assert pool.facts["categories"] == {"daily": {"s0": 134, "s1": 133, "s2": 133}, "reasoning": {"sums/think": 300}}
    assert reasons(pool, "daily") == {"broken row": 2, "duplicate: exact": 50}
    assert reasons(pool, "reasoning") == {
        "duplicate: exact": 1, "gold_answer: another answer": 1, "korean_response: no Korean": 1,
        "one_thinking: never closed": 1,
    }  # fmt: skip


def test_what_was_thrown_out_says_where_it_stood_and_what_it_was(pool):
    told = {(one["reason"], one["file"], one["line"]): one for one in rejects(pool)}
    assert told["broken row", "daily-2.jsonl", 251]["text"] == "{broken"
    assert "UTF-8" in told["broken row", "daily-2.jsonl", 252]["detail"]
    english = told["korean_response: no Korean", "reasoning.jsonl", 301]
    assert english["messages"][1]["content"].endswith("It is 1801.")
    again = told["duplicate: exact", "reasoning.jsonl", 304]
    assert again["detail"] in pool.index.ids.to_pylist() and again["category"] == "reasoning"


def test_rows_lie_by_category_stratum_and_rank(pool):
    index = pool.index
    rows = pq.read_table(pool.path / "rows")
    hashes = np.array([row_hash(name) for name in rows["id"].to_pylist()], np.uint64)
    keys = zip(rows["category"].to_pylist(), rows["stratum"].to_pylist(), standings(hashes).tolist(), strict=True)
    assert (told := list(keys)) == sorted(told)
    assert [of[2] for of in told] == index.stands.tolist()
    assert rows["id"].to_pylist() == index.ids.to_pylist()
    assert rows["n_tokens"].to_pylist() == index.n_tokens.tolist()


def test_two_workers_build_the_same_bytes(config, pool, tmp_path):
    assert bytes_of(built(config, tmp_path / "two", workers=2).path) == bytes_of(pool.path)


def test_rows_in_another_order_give_the_same_rows(pile, pool, tmp_path):
    for name in ("reasoning", "daily-1", "daily-2"):
        lines = (pile / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(reversed(lines)))
    (tmp_path / "daily-1.jsonl").rename(tmp_path / "daily-3.jsonl")
    again = built(pool_config(tmp_path, {"reasoning": reasoning_source(), "daily": daily_source()}), tmp_path / "out")
    for name in ("index.parquet", "rows/00000.parquet", "rows/00001.parquet"):
        if (pool.path / name).exists():
            assert (again.path / name).read_bytes() == (pool.path / name).read_bytes()
    assert again.digest == pool.digest


def test_a_pool_that_is_there_is_left_and_another_is_not_overwritten(config, pool):
    from composer.pool.curate.drivers import local

    before = bytes_of(pool.path)
    assert build(plan(config), pool.path, local(1), lambda *told: None) is False
    other = pool_config(config.path, {"daily": daily_source()})
    with pytest.raises(OutputError, match="holds another pool"):
        built(other, pool.path)
    assert bytes_of(pool.path) == before


@pytest.mark.parametrize("kind", ["jsonl.gz", "parquet", "json", "csv", "tsv"])
def test_every_format_gives_the_same_rows(tmp_path, kind):
    rows = [{"question": f"{n}번째 질문은 무엇인가요?", "response": f"{n}번째 답입니다."} for n in range(20)]
    file = tmp_path / f"rows.{kind}"
    if kind == "jsonl.gz":
        file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "json":
        file.write_text(json.dumps(rows), encoding="utf-8")
    else:
        mark = "\t" if kind == "tsv" else ","
        file.write_text("".join(mark.join(line) + "\n" for line in [rows[0], *(r.values() for r in rows)]))
    columns = {"prompt": "question", "response": "response"}
    source = SourceConfig(files=["rows.*"], shape="reasoning", columns=columns, category="daily")
    source.duplicates = ["row"]
    found = built(pool_config(tmp_path, {"rows": source}), tmp_path / "out")
    assert found.facts["sources"]["rows"] == {
        "read": 20, "rejects": {}, "kept": 20, "tokens": found.facts["tokens"],
    }  # fmt: skip
    assert found.facts["digest"] == open_pool(pool_config(file, {"rows": source})).facts["digest"]


def test_of_two_sources_the_one_of_higher_priority_keeps_its_row(tmp_path):
    write_lines(tmp_path / "daily-a.jsonl", [daily(1)])
    write_lines(tmp_path / "daily-b.jsonl", [daily(1), daily(2)])
    for low, high in (("a", "b"), ("b", "a")):
        sources = {
            low: daily_source(files=[f"daily-{low}.jsonl"], source=low),
            high: daily_source(files=[f"daily-{high}.jsonl"], source=high, priority=1),
        }
        found = built(pool_config(tmp_path, sources), tmp_path / f"out-{low}")
        assert reasons(found, low) == {"duplicate: exact": 1} and not reasons(found, high)


def test_nearly_the_same_rows_are_told_within_and_across_sources(tmp_path):
    long = "가을이 되면 산과 들이 붉게 물들고 사람들은 단풍을 보러 먼 길을 떠난다. " * 3
    rows = [{"messages": turns(f"{long}{n}", f"{long[::-1]} {n}"), "category": "daily"} for n in range(2)]
    other = {"messages": turns("전혀 다른 질문입니다", "전혀 다른 답입니다, 정말로요"), "category": "daily"}
    write_lines(tmp_path / "daily-1.jsonl", [rows[0], other])
    write_lines(tmp_path / "daily-2.jsonl", [rows[1]])
    sources = {name: daily_source(files=[f"daily-{name}.jsonl"], duplicates=["near"]) for name in ("1", "2")}
    found = built(pool_config(tmp_path, sources), tmp_path / "out")
    assert reasons(found, "2") == {"duplicate: near": 1} and found.facts["rows"] == 2
    strict = pool_config(tmp_path, sources, duplicates=DuplicatesConfig(near=1.0))
    assert built(strict, tmp_path / "strict").facts["rows"] == 3


def test_rows_that_give_an_item_away_name_it_and_families_go_together(tmp_path):
    asked = "철수는 사과를 세 개 가지고 있고 영희는 두 개를 더 주었습니다. 모두 몇 개입니까?"
    write_lines(
        tmp_path / "held/test.jsonl", [{"question": "다른 문제로서 아무 관련이 없는 긴 글입니다."}, {"question": asked}]
    )
    given = {"messages": turns(f"문제: {asked}", "답은 다섯 개입니다."), "category": "daily"}
    write_lines(tmp_path / "daily-1.jsonl", [given, daily(3)])
    write_lines(tmp_path / "daily-2.jsonl", [daily(4), daily(5)])
    sources = {
        "mine": daily_source(files=["daily-1.jsonl"]),
        "translated": daily_source(files=["daily-2.jsonl"], family="sums"),
    }
    more = ContaminationConfig(files={"sums_test": ItemsConfig(files=["held/*.jsonl"])})
    config = pool_config(tmp_path, sources, contamination=more, families={"sums": ["sums_test"]})
    found = built(config, tmp_path / "out")
    assert reasons(found, "mine") == {"contamination: sums_test": 1}
    assert reasons(found, "translated") == {"contamination: family": 2}
    assert {one["detail"] for one in rejects(found)} == {"test.jsonl:2", "sums_test"}


def test_items_of_lm_eval_tasks_are_looked_for_with_their_options(tmp_path):
    from composer.pool.benchmark_items import read_items

    config = pool_config(tmp_path, {"daily": daily_source()}, contamination=ContaminationConfig(benchmarks=["mini"]))
    items = {item.benchmark: item for item in read_items(config)}
    item = items["mini/kmmlu_redux"]
    assert all(f"\n{letter}. " in item.parts[0] for letter in "ABCD")
    write_lines(
        tmp_path / "daily.jsonl",
        [{"messages": turns("\n".join(item.parts), "정답은 A입니다."), "category": "daily"}, daily(1)],
    )
    found = built(config, tmp_path / "out")
    assert reasons(found, "daily") == {"contamination: mini/kmmlu_redux": 1}


def test_a_share_of_rows_gives_the_answer_without_its_thinking(tmp_path):
    write_lines(tmp_path / "reasoning.jsonl", map(reasoning, range(400)))
    for tags in (False, True):
        source = reasoning_source(no_think=NoThinkConfig(share=0.25, tags=tags))
        found = built(pool_config(tmp_path, {"reasoning": source}), tmp_path / f"out-{tags}")
        strata = found.facts["categories"]["reasoning"]
        assert 70 < strata["sums/no_think"] < 130 and sum(strata.values()) == 400
        rows = found.take(np.arange(400)).to_pylist()
        for row in rows:
            asked, said = (turn["content"] for turn in row["messages"])
            without = row["mode"] == "no_think"
            assert asked.endswith(" /no_think") == without
            assert said.startswith("<think>\n\n</think>\n\n답은" if tags else "답은") == without


def test_all_that_is_wrong_with_a_config_is_told_at_once(tmp_path):
    sources = {
        "a": daily_source(shape="massages", duplicates=["mood"]),
        "b": daily_source(filters={"korean": None, "characters": {"leest": 3}}, category="no name!"),
        "c": SourceConfig(shape="reasoning", category="x", columns={"prompt": "q"}, files=["x"]),
        "d e": SourceConfig(shape="messages", category="x"),
    }
    with pytest.raises(ConfigError) as told:
        plan(pool_config(tmp_path, sources, filters={"x": {"nope": None}}, families={"f": ["y"]}))
    for part in (
        "a.shape is massages", "a.duplicates is mood", "b.filters.korean", "leest", "no name!",
        "c.columns lacks response",
        "neither files nor hub", "pool.filters.x.nope", "pool.families.f is y", "d e",
    ):  # fmt: skip
        assert part in str(told.value), (part, str(told.value))


def test_a_source_without_files_and_a_pool_without_rows_are_refused(tmp_path):
    with pytest.raises(PoolError, match=r"pool.sources.daily.files is daily\*.jsonl: there is no such file"):
        plan(pool_config(tmp_path, {"daily": daily_source()}))
    write_lines(tmp_path / "daily.jsonl", [{"messages": [], "category": "daily"}])
    with pytest.raises(PoolError, match="all were thrown out"):
        built(pool_config(tmp_path, {"daily": daily_source()}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "done", "kept"),
    [(UnfinishedError, 1, True), (NeedsError, 1, True), (NeedsError, 0, False), (PoolError, 1, False)],
)
def test_what_is_done_is_kept_where_the_same_request_may_go_on_with_it(config, pool, tmp_path, error, done, kept):
    def stops(function, items, advance):
        for item in items[:done]:
            function(item)
        raise error("stop")

    with pytest.raises(error, match="stop"):
        build(plan(config), tmp_path / "out", stops, lambda *told: None)
    assert [one.name for one in tmp_path.iterdir()] == [".out.building"] * kept
    assert bytes_of(built(config, tmp_path / "out").path) == bytes_of(pool.path)


def test_another_config_in_the_same_folder_is_curated_by_its_own(pile, tmp_path):
    with pytest.raises(PoolError, match="all were thrown out"):
        built(pool_config(pile, {"daily": daily_source(filters={"characters": {"most": 1}})}), tmp_path / "out")
    assert built(pool_config(pile, {"daily": daily_source()}), tmp_path / "out").facts["rows"] == 400


def test_what_only_the_mini_pool_has_makes_no_other_pool(pile):
    sources = {"daily": daily_source()}
    one, other = (plan(pool_config(pile, sources, rows=rows, label=str(rows))).digest for rows in (0, 4000))
    assert one == other != plan(pool_config(pile, sources, tokenizer="another")).digest
