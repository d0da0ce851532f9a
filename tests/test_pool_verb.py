"""`composer pool`: builds, says what is there, shows rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool.piles import daily, write_lines

from composer.cli import main


@pytest.fixture
def data(tmp_path):
    write_lines(
        tmp_path / "data" / "rows.jsonl", [*map(daily, range(30)), {"messages": [], "category": "daily"}, daily(3)]
    )
    return tmp_path / "data"


def test_files_become_a_pool_that_is_shown_and_composed_from(data, tmp_path, capsys):
    out = tmp_path / "pool"
    asked = ["pool", "pool=files", f"pool.path={data}", f"out={out}", "--workers", "1"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert (
        "30 rows" in told
        and "duplicate: exact" in told
        and "no messages" in told
        and str(out) in told.replace("\n", "")
    )
    assert main([*asked, "--json"]) == 0  # there already
    facts = json.loads(capsys.readouterr().out)
    assert facts["sources"]["files"] == {
        "read": 32, "kept": 30, "tokens": facts["tokens"], "rejects": {"duplicate: exact": 1, "no messages": 1},
    }  # fmt: skip
    mixture = ["mixture=custom", "mixture.quotas.daily=1.0", "mixture.size=20", f"out={tmp_path / 'mixture'}"]
    assert main(["compose", "pool=folder", f"pool.path={out}", *mixture]) == 0
    assert (tmp_path / "mixture" / "manifest.json").exists()


def test_rows_are_shown_of_any_stratum_and_reason(data, tmp_path, capsys):
    out = tmp_path / "pool"
    assert main(["pool", "pool=files", f"pool.path={data}", f"out={out}", "--workers", "1", "--json"]) == 0
    capsys.readouterr()
    assert main(["pool", "inspect", str(out), "--stratum", "s1", "--rows", "2", "--json"]) == 0
    sample = json.loads(capsys.readouterr().out)["sample"]
    assert len(sample) == 2 and {row["stratum"] for row in sample} == {"s1"}
    assert main(["pool", "inspect", str(out), "--reason", "duplicate"]) == 0
    told = capsys.readouterr().out
    assert "duplicate: exact · files · rows.jsonl:32" in told and "3번 버스" in told
    assert main(["pool", "inspect", str(out), "--reason", "all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["sample"]) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--reason", "images"], "nothing of that reason was thrown out; what was is of duplicate: exact, no messages"),
        (["--category", "chess"], "--category is chess: the pool has daily"),
        (
            ["--reason", "all", "--source", "chess"],
            "--source is chess: nothing of that source was thrown out; what was is of files",
        ),
        (["--reason", "duplicate", "--category", "chess"], "--category is chess: nothing of that category"),
        (["--reason", "all", "--mode", "think"], "no stratum and mode"),
        (["--rows", "0"], "--rows is 0"),
        (["pool.path=x"], "takes no pool.path=x"),
    ],
)
def test_what_cannot_be_shown_is_told(data, tmp_path, capsys, given, told):
    out = tmp_path / "pool"
    assert main(["pool", "pool=files", f"pool.path={data}", f"out={out}", "--workers", "1", "--json"]) == 0
    assert main(["pool", "inspect", str(out), *given]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_bad_requests_write_nothing(data, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COMPOSER_DATA", raising=False)
    out = tmp_path / "pool"
    for given, told in (
        (["pool=files"], "pool.path is not set"),
        (["pool=files", f"pool.path={data}", "pool.sources.files.shape=massages"], "massages"),
        (
            ["pool=files", f"pool.path={data}", "pool.sources.files.filters.korean_respons={}"],
            "korean_respons is no filter",
        ),
        (["pool=files", f"pool.path={data}/none"], "there is no such file"),
        (["pool=mini"], "only a pool of sources goes where you say"),
        (["pool=files", f"pool.path={data}", "--workers", "0"], "--workers is 0"),
        (["pool=files", f"pool.path={data}", "--rows", "3"], "--rows 3: only `composer pool inspect` shows rows"),
    ):
        assert main(["pool", *given, f"out={out}"]) == 2, given
        assert told in " ".join(capsys.readouterr().err.split()), given
    assert not out.exists() and [one.name for one in tmp_path.iterdir()] == ["data"]


SOURCE = "pool.sources.files"
PAIRED = [f"{SOURCE}.shape=reasoning", f"{SOURCE}.columns={{prompt: q, response: a}}", f"{SOURCE}.category=daily"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([f"{SOURCE}.family=math"], f"{SOURCE}.family is math, and pool.families names none: say which benchmarks"),
        (
            [f"{SOURCE}.family=math", "pool.families.sums=[mini/daily]"],
            f"{SOURCE}.family is math: it must be one of sums",
        ),
        (["pool.families.sums=[mini/chess]"], "pool.families.sums is mini/chess: it must be one of mini/kmmlu_redux"),
        (["pool.contamination.benchmarks=[chess]"], "pool.contamination.benchmarks is chess: it must be one of"),
        ([f"{SOURCE}.filters.gold_answer={{}}"], f"{SOURCE}.filters.gold_answer.column is gold: {SOURCE}.columns must"),
        (
            [f"{SOURCE}.category=daily", "pool.filters.daily.gold_answer={}"],
            f"pool.filters.daily.gold_answer.column is gold: {SOURCE}.columns must have it",
        ),
        (
            ["pool.filters.daily.thinking_language={language: german}"],
            "pool.filters.daily.thinking_language.language is german: it must be one of korean, english",
        ),
        (
            [f"{SOURCE}.shape=choices", f"{SOURCE}.columns={{prompt: q, answer: a}}", f"{SOURCE}.options.answer=2"],
            f"{SOURCE}.options.answer is 2: it must be one of 0, 1, letter, text",
        ),
        ([f"{SOURCE}.stratum='{{stratum'"], f"{SOURCE}.stratum is {{stratum: a brace in it begins or ends no path"),
        ([f"{SOURCE}.category='a}}{{b}}'"], f"{SOURCE}.category is a}}{{b}}: a brace in it"),
        (
            [f"{SOURCE}.category=daily", "pool.filters.dayly.images={}"],
            "pool.filters.dayly is of no source: it must be one of daily",
        ),
        ([f"{SOURCE}.filters.tokens={{least: 9, most: 3}}"], f"{SOURCE}.filters.tokens.most is 3, and least is 9"),
        ([f"{SOURCE}.filters.korean_response.share=50"], "korean_response.share is 50: it must be in [0, 1]"),
        ([*PAIRED, f"{SOURCE}.files=[twice.csv]"], f"{SOURCE}: {{data}}/twice.csv has the column q more than once"),
        ([*PAIRED, f"{SOURCE}.files=[other.csv]"], f"{SOURCE}: {{data}}/other.csv has no column a: it has q, b"),
    ],
)
def test_a_mistake_in_a_source_is_told_by_its_key_before_anything_is_read(data, tmp_path, capsys, given, told):
    (data / "twice.csv").write_text("q,a,q\n1,2,3\n")
    (data / "other.csv").write_text("q,b\n1,2\n")
    asked = ["pool", "pool=files", f"pool.path={data}", f"out={tmp_path / 'pool'}", "--workers", "1", *given]
    assert main(asked) == 2
    assert told.replace("{data}", str(data)) in " ".join(capsys.readouterr().err.split())
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


def test_filters_that_met_no_row_are_told_with_the_pool(data, tmp_path, capsys):
    asked = ["pool", "pool=files", f"pool.path={data}", f"out={tmp_path / 'pool'}", "--workers", "1"]
    rule = "{characters: {most: 1}}"
    write_lines(data / "rows.jsonl", [daily(1), {**daily(2), "category": "gone"}])
    assert main([*asked, f"pool.filters={{dayly: {rule}, gone: {rule}}}"]) == 0
    told = capsys.readouterr().out
    assert "pool.filters.dayly met no row: the pool has daily" in told and "filters.gone" not in told
    assert "1 row," in told


def test_without_a_folder_a_pool_that_is_built_is_shown_and_none_is_made(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COMPOSER_CACHE", str(tmp_path / "cache"))
    files = ["pool=files", f"pool.path={data}"]
    for given in ([], ["pool=mini"], files, ["nowhere"]):
        assert main(["pool", "inspect", *given]) == 2
        assert "give the folder of a pool" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    assert main(["pool", *files, "--workers", "1", "--json"]) == 0
    path = json.loads(capsys.readouterr().out)["path"]
    assert main(["pool", "inspect"]) == 2
    assert f"such as one of these:\n  {path}\n" in capsys.readouterr().err
    assert main(["pool", "inspect", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == path


def test_an_empty_folder_is_no_pool(tmp_path, capsys):
    assert main(["pool", "inspect", str(tmp_path)]) == 2
    assert "is not a pool folder" in capsys.readouterr().err


def test_rows_in_parquet_need_no_stratum_and_no_source(tmp_path, capsys):
    rows = [{name: value for name, value in daily(n).items() if name != "stratum"} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    asked = ["pool", "pool=files", f"pool.path={tmp_path / 'rows.parquet'}", f"out={tmp_path / 'pool'}", "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["categories"] == {"daily": {"all": 5}}
    pq.write_table(pa.Table.from_pylist([{"messages": row["messages"]} for row in rows]), tmp_path / "rows.parquet")
    assert main([*asked[:-2], f"out={tmp_path / 'other'}"]) == 2
    assert "has no column category: it has messages" in " ".join(capsys.readouterr().err.split())


def test_a_pool_that_keeps_no_row_says_why(data, tmp_path, capsys):
    asked = ["pool", "pool=files", f"pool.path={data}", f"out={tmp_path / 'pool'}", "--workers", "1"]
    assert main([*asked, "pool.sources.files.category='{kind}'"]) == 2
    assert "all were thrown out: files 31 no category, 1 no messages" in " ".join(capsys.readouterr().err.split())


def test_what_once_ended_in_a_traceback_is_told(data, tmp_path, capsys, monkeypatch):
    asked = ["pool", "pool=files", f"pool.path={data}", f"out={tmp_path / 'pool'}", "--workers", "1"]
    assert main([*asked, "pool.sources.files.filters.tokens={most: abc}"]) == 2
    assert "filters.tokens.most is abc: it must be a number" in capsys.readouterr().err
    assert main(asked) == 0
    assert main(["pool", "inspect", str(tmp_path / "pool"), "--seed", "-1"]) == 2
    assert "--seed is -1" in capsys.readouterr().err
    (tmp_path / "conf" / "pool").mkdir(parents=True)
    (tmp_path / "conf" / "pool" / "broken.yaml").write_text("name: [\n")
    monkeypatch.chdir(tmp_path)
    assert main(["pool", "pool=broken"]) == 2
    assert "is not YAML" in capsys.readouterr().err
