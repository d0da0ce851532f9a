"""The command line: what it refuses, and how; what it leaves."""

import json
import subprocess
import sys
import time

import pytest

from composer.cli import main

SMALL = ["pool.rows=4000", "mixture.size=400"]


def refused(capsys, tmp_path, *arguments):
    """The message of a request that must be refused with exit code 2 and nothing written."""
    out = tmp_path / "out"
    assert main([*arguments, f"out={out}"]) == 2
    assert not out.exists()
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("mixture.quotas.mcqa=-0.1", ["mixture.quotas.mcqa", "-0.1", "at least 0"]),
        ("mixture.quotas.mcqa=nan", ["mixture.quotas.mcqa", "nan", "finite"]),
        ("mixture.quotas.mcqa=0.2", ["mixture.quotas", "1.146", "sum to 1"]),
        ("mixture.siez=400", ["mixture.siez", "not a key", "size"]),
        ("mixture.size=many", ["mixture.size", "many", "a whole number"]),
        ("mixture.size=0", ["mixture.size", "0", "at least 1"]),
        ("mixture.by=rowss", ["mixture.by", "rowss", "share, rows, tokens"]),
        ("model=kanana_9b", ["model", "kanana_9b", "kanana_8b"]),
        ("mixture.edits.x.drop=mcq", ["mixture.edits.x.drop", "mcq", "mcqa"]),
        ("mixture.edits.x.rest=some", ["mixture.edits.x.rest", "some", "rescaled, fixed"]),
        ("pool.rows=-3", ["pool.rows", "-3", "at least 1"]),
        ("nonsense", ["nonsense", "key=value"]),
        ("study.seeds=0", ["study.seeds", "0", "at least 1"]),
    ],
)
@pytest.mark.parametrize("verb", ["compose", "plan"])
def test_a_bad_request_names_key_value_and_what_is_allowed(capsys, tmp_path, verb, override, told):
    message = refused(capsys, tmp_path, verb, "ko_r1_3/run1", *SMALL, override)
    assert all(part in message for part in told), message


def test_an_unknown_category_is_named_with_the_known_ones(capsys, tmp_path):
    quotas = ["mixture=custom", "mixture.quotas.chess=1.0"]
    message = refused(capsys, tmp_path, "compose", *SMALL, *quotas)
    assert "chess" in message and "daily, ko_r1_stem, mcqa, openthought" in message


def test_a_size_beyond_the_pool_is_refused(capsys, tmp_path):
    message = refused(capsys, tmp_path, "compose", "ko_r1_3/run1", "pool.rows=4000", "mixture.size=50000")
    assert "50,000" in message or "50000" in message
    assert "repeat" in message


def test_an_unknown_recipe_is_refused_with_the_nearest(capsys, tmp_path):
    assert "did you mean quickstart" in refused(capsys, tmp_path, "run", "quikstart")


def test_a_run_that_needs_network_and_gpu_says_so_first(capsys, tmp_path):
    real = ["pool=ko_r1_3", "model=kanana_8b", "benchmarks=ko_r1_3"]
    message = refused(capsys, tmp_path, "run", "ko_r1_3/run3", *real)
    assert "network" in message and "GPU" in message
    assert main(["run", "ko_r1_3/run3", *real, "--cfg", "job"]) == 0
    assert "kakaocorp/kanana-1.5-8b-instruct-2505" in capsys.readouterr().out


def test_compose_writes_a_mixture_and_refuses_to_replace_another(capsys, tmp_path):
    out = tmp_path / "mixture"
    asked = ["compose", "ko_r1_3/run1", *SMALL, f"out={out}"]
    assert main([*asked, "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)["manifest"]
    assert manifest["rows"] == 400
    before = {file.name: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert main([*asked, "--workers", "3"]) == 0
    assert main([*asked, "mixture.seed=1"]) == 2
    assert "choose another" in capsys.readouterr().err
    assert before == {file.name: file.read_bytes() for file in out.rglob("*") if file.is_file()}


def test_edits_from_the_command_line_are_those_of_a_recipe(capsys, tmp_path):
    drop = [
        "mixture.edits.openthought_for_stem.replace={ko_r1_stem: openthought}",
        "mixture.edits.without_mcqa.drop=mcqa",
    ]
    digests = []
    for asked in (["ko_r1_3/run2"], ["ko_r1_3/run1", *drop]):
        assert main(["compose", *asked, *SMALL, f"out={tmp_path / asked[0]}", "--json"]) == 0
        digests.append(json.loads(capsys.readouterr().out)["manifest"]["digest"])
    assert digests[0] == digests[1]


def test_a_recipe_with_several_arms_asks_which(capsys, tmp_path):
    assert "run1, run2, run3, run4" in refused(capsys, tmp_path, "compose", "quickstart")


def test_plan_says_what_a_run_costs_and_writes_it(capsys, tmp_path):
    assert main(["plan", "quickstart", f"out={tmp_path}", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan == json.loads((tmp_path / "plan.json").read_text())
    arms = plan["arms"]
    assert {name: arm["mixture"]["rows"] for name, arm in arms.items()} == {
        "run1": 1800, "run2": 1703, "run3": 540, "run4": 540,
    }  # fmt: skip
    assert arms["run3"]["mixture"]["categories"]["mcqa"]["rows"] == 29
    assert len({trial["key"] for trial in plan["trials"]}) == 4 * len({trial["seed"] for trial in plan["trials"]})


def test_list_and_doctor_speak_json(capsys):
    assert main(["list", "--json"]) == 0
    assert "quickstart" in json.loads(capsys.readouterr().out)["recipes"]
    assert main(["doctor", "--json"]) == 0
    checks = {check["name"]: check["ok"] for check in json.loads(capsys.readouterr().out)}
    assert checks["torch"] and checks["mini base"]


def test_help_is_quick():
    asked = [sys.executable, "-X", "importtime", "-m", "composer.cli", "--help"]
    started = time.monotonic()
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 3  # under one second on an idle machine
    assert not {"torch", "transformers", "datasets", "lm_eval"} & {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }


def test_options_may_stand_between_overrides(capsys, tmp_path):
    given = ["compose", "ko_r1_3/run3", "pool.rows=4000", "--json", "mixture.size=500", f"out={tmp_path / 'mixture'}"]
    assert main(given) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["rows"] == 150
    with pytest.raises(SystemExit) as left:
        main([*given, "--jason"])
    assert left.value.code == 2


def test_a_reference_that_cannot_be_read_is_told_before_anything_is_trained(capsys, tmp_path):
    told = refused(capsys, tmp_path, "plan", "quickstart", f"findings.reference={tmp_path}/none")
    assert "none holds no results.json" in told


def test_output_that_nobody_reads_to_its_end_is_no_error():
    command = f"{sys.executable} -m composer.cli list --json | head -c 1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert ran.stdout == "{" and not ran.stderr


def test_a_storage_that_is_no_url_is_refused_before_anything_is_written(capsys, tmp_path):
    message = refused(capsys, tmp_path, "run", "mini/search", "study.search.storage=foo")
    assert "study.search.storage is foo" in message and "sqlite:///" in message
