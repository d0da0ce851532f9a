"""`composer fit`: what it prints, leaves and refuses; its recipe plans."""

import json

import pytest
from findings.fit_world import trials, write_csv, write_search

from composer.cli import main

QUICK = ["--folds", "2"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_gets_a_result_and_a_recipe_that_plans(here, capsys):
    run = write_search(here / "run", "study.seeds=1", proposals=9)
    for folder in trials(run, "p000"):
        (folder / "record.json").unlink()
    assert main(["fit", "run", *QUICK, "--mixture", "daily=0.5,mcqa=0.5", "--weights", "kmmlu_redux=1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((run / "fit.json").read_text())
    assert said["trials"] == {"finished": 9, "failed": 0, "missing": 1}
    assert said["recipe"] == "recipes/default_best.yaml"
    assert said["asked"][0]["shares"] == {"daily": 0.5, "ko_r1_stem": 0.0, "mcqa": 0.5}
    assert main(["plan", "default_best", "out=planned", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    best, mine = plan["arms"][said["best"]["name"]], plan["arms"]["recommended"]
    assert list(plan["benchmarks"]) == ["kmmlu_redux", "daily"] and plan["pool"]["rows"] > 3000 and plan["seeds"] == 1
    assert plan["baseline"] == said["best"]["name"] and mine["mixture"]["rows"] == 100
    theirs = json.loads((run / "plan.json").read_text())
    assert best["mixture"]["digest"] == theirs["arms"][said["best"]["name"]]["mixture"]["digest"]
    assert {one["key"] for one in plan["trials"]} & {one["key"] for one in theirs["trials"]}
    for name, of in mine["mixture"]["categories"].items():
        assert of["rows"] == pytest.approx(100 * said["recommended"]["shares"][name], abs=1)
    # A recipe that is there and differs stays, and so does the result.
    (here / said["recipe"]).write_text("mine")
    (run / "fit.json").unlink()
    assert main(["fit", "run", *QUICK]) == 2
    assert "--force" in capsys.readouterr().err and not (run / "fit.json").exists()
    assert (here / said["recipe"]).read_text() == "mine"


def test_a_csv_gets_tables_and_a_recipe_for_the_users_own_pool(here, capsys):
    write_csv(here / "runs.csv", count=12)
    asked = ["fit", "runs.csv", *QUICK, "--where", "model=small", "--weights", "both=1", "--lower", "loss"]
    assert main([*asked, "--size", "90", "--out", "said/fit.json", "--bounds", "code=0.1:0.6"]) == 0
    out, err = capsys.readouterr()
    for part in ("runs.csv where model=small", "loss ↓", "recommended", "10 % to 60 %", "composer plan runs_best"):
        assert part in out
    assert err == ""
    said = json.loads((here / "said/fit.json").read_text())
    assert 0.1 <= said["recommended"]["shares"]["code"] <= 0.6
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    rows = [
        json.dumps({"messages": [{**turns[0], "content": f"{name} {n}"}, turns[1]], "category": name})
        for name in ("math", "chat", "code")
        for n in range(90)
    ]
    (here / "rows.jsonl").write_text("\n".join(rows))
    assert main(["plan", "runs_best", "pool.path=rows.jsonl", "out=planned", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["arms"]["runs_best"]["mixture"]["rows"] == 90


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none"], "none is neither the folder of a run nor a CSV file"),
        (["."], "holds no plan.json"),
        (["runs.csv", "--size", "0"], "--size is 0"),
        (["runs.csv", "--mixture", "math=2"], "sum to 2"),
    ],
)
def test_a_bad_request_changes_nothing(here, capsys, arguments, told):
    write_csv(here / "runs.csv", count=6)
    assert main(["fit", *arguments]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in here.iterdir()] == ["runs.csv"]


def test_a_folder_as_out_and_a_table_from_excel(tmp_path, capsys):
    rows = [f"{n / 12},{1 - n / 12},{0.5 + n / 50}" for n in range(12)]
    file = tmp_path / "runs.csv"
    file.write_text("\n".join(["ratio_a,ratio_b,metric_x", *rows]), encoding="utf-8-sig")
    asked = ["fit", str(file), "--no-recipe", "--folds", "2"]
    assert main([*asked, "--out", str(tmp_path)]) == 2
    assert "which is a folder" in capsys.readouterr().err
    assert main([*asked, "--out", str(tmp_path / "fit.json")]) == 0
    file.write_bytes(b"\xff\xfe\x00")
    assert main(asked) == 2
    assert "no text in UTF-8" in capsys.readouterr().err
