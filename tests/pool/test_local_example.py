"""conf/pool/local_example.yaml on the real data sets that it is written for."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from composer.pool.curate.build import build, plan
from composer.pool.curate.drivers import local
from composer.pool.inspect import Asked, inspect
from composer.pool.store import Pool
from composer.recipe import load_recipe

from .piles import accounted, quiet

DATA = Path(os.environ.get("COMPOSER_DATA", "../shared/data")) / "pool"
pytestmark = pytest.mark.skipif(
    not (DATA / "think_traces").is_dir(), reason="the seven public data sets are not here: set COMPOSER_DATA"
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    out = tmp_path_factory.mktemp("local") / "pool"
    config = load_recipe(None, ["pool=local_example", f"pool.path={DATA}"]).config.pool
    build(plan(config), out, local(2), quiet)
    return Pool.open(out)


@pytest.fixture(scope="module")
def rejects(pool):
    return pa.concat_tables([pq.read_table(file) for file in sorted((pool.path / "rejects").glob("*"))])


def thrown(rejects, source, reason):
    here = pc.and_(pc.equal(rejects["source"], source), pc.starts_with(rejects["reason"], reason))
    return rejects.filter(here).to_pylist()


def correct(name):
    lines = (DATA / "think_traces" / name).read_text(encoding="utf-8").splitlines()
    return {place: row for place, row in enumerate(map(json.loads, lines), 1) if row["correct"]}


def test_every_row_of_every_source_is_accounted_for(pool):
    assert accounted(pool)
    read = {name: of["read"] for name, of in pool.facts["sources"].items()}
    assert read["traces_ko"] == 2823 and read["traces_en"] == 1005 and read["chatbot"] == 11823
    assert read["kobest_copa"] == 3076 and read["commonsenseqa"] == 9741 and read["gsm8k"] == 7473


def test_english_traces_are_thrown_out_for_their_language(pool, rejects):
    assert pool.facts["sources"]["traces_en"]["kept"] == 0
    assert len(thrown(rejects, "traces_en", "korean_response: no Korean")) == len(correct("traces_en.jsonl")) == 807


def test_of_the_correct_korean_traces_those_without_hangul_go_and_the_others_stay(pool, rejects):
    right = correct("traces_ko.jsonl")
    without = {n for n, row in right.items() if not any("가" <= one <= "힣" for one in row["response"])}
    gone = {one["line"] for one in thrown(rejects, "traces_ko", "korean_response")}
    others = {
        one["line"]: one["reason"] for one in thrown(rejects, "traces_ko", "") if one["line"] in right.keys() - gone
    }
    assert len(without) == 634 and without <= gone
    # One response is a block of code and nothing else; one trace holds a replacement character.
    assert len(gone - without) == 1 and right[next(iter(gone - without))]["response"].startswith("```")
    assert list(others.values()) == ["encoding: is broken"] and "\ufffd" in str(right[next(iter(others))])
    assert pool.facts["sources"]["traces_ko"]["kept"] == 1535 - 636


def test_rationales_that_do_not_end_on_the_answer_are_found(pool, rejects):
    assert len(thrown(rejects, "ko_word_problems", "gold_answer")) > 650
    assert len(thrown(rejects, "ko_arithmetic", "gold_answer")) > 250
    kept = inspect(pool, Asked(source="ko_word_problems", rows=10**6))
    answers = {}
    [file] = (DATA / "kt_ko_math").glob("*kor-mwp*train.jsonl")
    for line in file.read_text(encoding="utf-8").splitlines():
        answers[json.loads(line)["question"].strip()] = json.loads(line)["answer"]
    held = [
        answers[row["messages"][0]["content"].strip()].split(".")[0] in row["messages"][1]["content"].replace(",", "")
        for row in kept.to_pylist()
    ]
    assert sum(held) > 0.99 * len(held)


def test_the_malformed_label_and_the_repeated_questions_of_small_talk_are_found(pool, rejects):
    [label] = thrown(rejects, "chatbot", "no stratum")
    assert "'2   '" in label["detail"] and label["messages"][0]["content"].startswith("여지를 준")
    repeats = [one for one in thrown(rejects, "chatbot", "duplicate") if one["reason"] != "duplicate: near"]
    asked = Counter(one["messages"][0]["content"] for one in repeats)
    kept = inspect(pool, Asked(source="chatbot", rows=10**6))
    questions = Counter(row["messages"][0]["content"] for row in kept.to_pylist())
    assert len(repeats) >= 161 and asked and max(questions.values()) == 1


def test_the_translation_of_gsm8ks_test_goes_with_it(pool, rejects):
    assert len(thrown(rejects, "ko_gsm8k", "contamination: family")) == 1319
    assert pool.facts["benchmarks"] == {"gsm8k_test": 1319}
    for one in thrown(rejects, "gsm8k", "contamination: gsm8k_test"):
        assert one["detail"].startswith("test.jsonl:")


def test_the_strata_are_those_of_the_sources(pool):
    strata = pool.facts["categories"]
    assert {"everyday", "parting", "love"} == set(strata["daily"])
    assert {"puzzles/easy", "puzzles/medium", "puzzles/hard", "traces/hard/think"} <= set(strata["reasoning"])
    assert len(strata["mcqa"]) == 5
