"""Steps of training explained by their rows: in a real mixture, of which only the language of some rows is unusual."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from composer.artifacts import write_json
from composer.errors import FindingsError, RequestError
from composer.findings.trace import Asked, read_asked, trace
from composer.findings.trace.asked import choose_one
from composer.findings.trace.features import features
from composer.findings.trace.files import read_ledger
from composer.findings.trace.rows import usable
from composer.pool.filters import Batch, first_reasons
from composer.pool.hashes import row_hash
from composer.trial.order import batches
from findings.traced_run import (
    BATCH,
    DATA,
    PLANTED,
    english,
    is_planted,
    make_pool,
    mixture_of,
    steps_with,
    traces,
    write_ledger,
    write_run,
    write_training,
)

AT = 9  # the step that has the planted rows
KOREAN = "korean_response: no Korean"


def explained(run: Path, *given: str):
    return trace(read_asked(run, given), lambda told, done, total: None)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("pool") / "pool", [english(number) for number in range(12 * PLANTED)])


@pytest.fixture
def trial(pool, tmp_path):
    """A trial that has the rows in English in one step, and has trained half of its steps."""
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder)
    steps = steps_with(rows, 14, AT)
    write_ledger(folder, steps)
    marked = is_planted(rows)
    write_training(folder, steps, len(steps) // 2, lambda place: 1.5 * marked[place])
    return folder


def test_rows_in_english_are_found_and_the_filter_is_proposed(trial, pool):
    found = explained(trial.parent.parent, f"step={AT}")
    assert found.causes[0].feature == KOREAN and found.causes[0].stands_out
    assert found.causes[0].separated.inside == 14 / 16
    proposal = found.proposal
    assert (proposal.filter, proposal.because) == ("korean_response", KOREAN)
    assert yaml.safe_load(proposal.yaml) == {"openthought": {"korean_response": None}}
    planted = int(is_planted(mixture_of(trial)).sum())
    assert (proposal.step.rows, proposal.step.removed) == (BATCH, 14)
    assert (proposal.mixture.rows, proposal.mixture.removed) == (600, planted)
    assert (proposal.pool.rows, proposal.pool.removed) == (pool.facts["rows"], PLANTED)
    assert set(proposal.pool.categories) == {"openthought"} and proposal.untold is None
    assert proposal.pool.categories["openthought"].rows == sum(pool.facts["categories"]["openthought"].values())
    assert [row.rejected for row in found.rows] == [True] * 14 + [False] * 2  # most loss over its usual first
    assert found.symptom.p < 0.001 and found.rows[0].loss - found.rows[0].usual > 1


def test_what_is_proposed_would_throw_out_these_rows_and_no_others(trial):
    proposal = explained(trial, f"step={AT}").proposal
    rows = mixture_of(trial).combine_chunks()
    for category, filters in yaml.safe_load(proposal.yaml).items():
        place, _ = first_reasons(Batch(rows), {name: given or {} for name, given in filters.items()})
        out = (place >= 0) & (np.array(rows["category"]) == category)
        assert out.tolist() == is_planted(rows).tolist()


@pytest.mark.skipif(not (DATA / "traces_en.jsonl").is_file(), reason=f"{DATA} is not here: set COMPOSER_DATA")
def test_real_reasoning_in_english_is_found(tmp_path):
    pool = make_pool(tmp_path / "pool", traces())
    (folder,) = write_run(tmp_path / "run", pool)
    write_ledger(folder, steps_with(mixture_of(folder), 14, AT))
    found = explained(folder, f"step={AT}")
    assert found.causes[0].feature == KOREAN and found.proposal.pool.removed == PLANTED
    assert {row.loss for row in found.rows} == {None} and found.symptom is None and found.steps[0].loss is None


def test_a_span_of_steps_is_explained_together(trial):
    found = explained(trial, f"step={AT - 1}-{AT + 1}")
    assert found.causes[0].feature == KOREAN and found.proposal.filter == "korean_response"
    assert len(found.rows) == 3 * BATCH == found.proposal.step.rows
    assert {row.step for row in found.rows} == {AT - 1, AT, AT + 1}


def test_less_than_half_of_a_step_is_enough(pool, tmp_path):
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder)
    steps = [[place for place in step if not is_planted(rows)[place]] for step in steps_with(rows, 0, 1, epochs=1)]
    steps[4][:6] = np.flatnonzero(is_planted(rows))[:6].tolist()
    write_ledger(folder, steps)
    found = explained(folder, "step=5")
    assert found.causes[0].feature == KOREAN and found.proposal.step.removed == 6


def test_nothing_stands_out_in_clean_steps(trial):
    ledger, marked = read_ledger(choose_one(Asked(trial))), is_planted(mixture_of(trial))
    counts = np.bincount(ledger.step, marked[ledger.place])
    clean = [step for step in range(1, ledger.steps + 1) if counts[step] == 0]
    found = [explained(trial, f"step={step}") for step in clean[:12]]
    assert not any(one.stands_out for trace_ in found for one in trace_.causes)
    assert {trace_.proposal for trace_ in found} == {None}
    assert all(trace_.causes for trace_ in found)  # what comes nearest is told


def test_steps_of_rows_of_like_length_are_compared_with_such_rows(pool, tmp_path):
    """As where rows are padded: short ones are of other categories than long ones, which is no news of a step."""
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder)
    lengths = rows["n_tokens"].to_pylist()
    hashes = np.array([row_hash(one) for one in rows["id"].to_pylist()], np.uint64)
    steps = [list(batch) for batch in batches(hashes, lengths, BATCH, 1, 0)]
    write_ledger(folder, steps)
    assert read_ledger(choose_one(Asked(folder))).of_like_length
    found = [explained(folder, f"step={step}") for step in range(1, len(steps) + 1)]
    assert all(one.compared.tokens is not None for one in found)
    assert sum(one.causes[0].stands_out for one in found) <= 1
    # A step whose rows are in English, but as long as each other.
    planted = np.flatnonzero(is_planted(rows)).tolist()
    middle = min(range(len(steps)), key=lambda at: abs(np.median([lengths[one] for one in steps[at]]) - 70))
    nearest = sorted(planted, key=lambda place: abs(lengths[place] - 70))[:12]
    steps = [[place for place in step if place not in nearest] for step in steps]
    steps[middle] = [*nearest, *steps[middle][:4]]
    write_ledger(folder, steps)
    found = explained(folder, f"step={middle + 1}")
    assert found.causes[0].feature == KOREAN and found.proposal.filter == "korean_response"


def test_a_share_of_korean_is_proposed_where_a_word_of_it_is_there(tmp_path):
    candidates = map(english, range(12 * PLANTED))
    told = [(prompt, response.replace("It is", "답: it then is")) for prompt, response in candidates]
    pool = make_pool(tmp_path / "pool", told)
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder)
    marked = np.array(["it then is" in row[1]["content"] for row in rows["messages"].to_pylist()])
    steps = steps_with(rows, 0, 1, epochs=1)
    planted = np.flatnonzero(marked)[:14].tolist()
    steps = [[place for place in step if place not in planted] for step in steps]
    steps[AT - 1][:14] = planted
    write_ledger(folder, steps)
    found = explained(folder, f"step={AT}")
    by_name = {one.feature: one for one in found.causes}
    assert KOREAN not in by_name and by_name["hangul_answer"].separated.above is False
    assert found.proposal.filter == "korean_prompt"  # of the ties the one that names a filter
    without = replace_prompts(folder, rows, marked)
    found = explained(without, f"step={AT}")
    assert found.proposal.filter == "korean_response" and 0 < found.proposal.parameters["openthought"]["share"] < 0.5
    assert found.proposal.mixture.removed == marked.sum() and found.proposal.step.removed == 14


def replace_prompts(folder, rows, marked):
    """The trial with Korean prompts and thinking in the rows that are marked, so that only their answers tell."""
    told = rows.to_pylist()
    for row, some in zip(told, marked, strict=True):
        if some:
            row["messages"][0]["content"] = "민수에게 사과 3개가 있다. 이제 몇 개인가?"
            row["messages"][1]["content"] = (
                "<think>처음은 3개.</think>" + row["messages"][1]["content"].split("</think>")[1]
            )
    (file,) = (folder.parent.parent / "mixtures").glob("*/data/*.parquet")
    pq.write_table(pa.Table.from_pylist(told, rows.schema), file)
    return folder


def test_filters_that_the_pool_declares_keep_their_parameters(trial, pool):
    run = trial.parent.parent
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["pool"]["filters"] = {"openthought": {"answer": None, "korean_response": {"words": 3}}}
    (run / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    found = explained(run, f"step={AT}")
    assert found.causes[0].filter == "korean_response"
    declared = {"openthought": {"answer": {}, "korean_response": {"words": 3}}}
    rows = mixture_of(trial).combine_chunks()
    known = features(rows, declared)
    few = known.reasons["korean_response", "too little Korean"]
    assert few.any() and set(np.array(rows["category"])[few]) == {"openthought"}


def test_a_filter_that_would_throw_out_a_category_is_none(pool, tmp_path):
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder)
    daily = np.flatnonzero(np.array(rows["category"]) == "daily").tolist()
    others = [place for place in range(len(rows)) if place not in daily[:BATCH]]
    np.random.default_rng(0).shuffle(others)
    write_ledger(folder, [daily[:BATCH], *(others[at : at + BATCH] for at in range(0, len(others), BATCH))])
    found = explained(folder, "step=1")
    assert "one_thinking: none" in {one.feature for one in found.causes if one.stands_out}
    assert found.proposal is None


def test_rows_that_are_said_again_are_told(pool, tmp_path):
    (folder,) = write_run(tmp_path / "run", pool)
    rows = mixture_of(folder).slice(0, 40).combine_chunks()
    again = features(rows.take([0, 1, 2, 1, 5]).combine_chunks(), {}).repeated
    assert again.tolist() == [False, True, False, True, False]


def test_features_are_what_filters_say():
    turns = [[{"role": "user", "content": "안녕?"}, {"role": "assistant", "content": said}]
             for said in ("<think>so</think>hello", "네, 반가워요", "12", "<think>음</think>오 ok")]  # fmt: skip
    columns = {name: ["a"] * 4 for name in ("category", "source", "stratum", "mode")}
    rows = pa.table({"messages": turns, "n_tokens": pa.array([1, 2, 3, 4], pa.int32()), **columns})
    known = features(rows, {})
    assert known.reasons["korean_response", "no Korean"].tolist() == [True, False, True, False]
    assert known.reasons["one_thinking", "none"].tolist() == [False, True, True, False]
    assert known.numbers["hangul_answer"].tolist()[:2] == [0.0, 1.0]
    assert np.isnan(known.numbers["hangul_answer"][2]) and known.numbers["hangul_answer"][3] == pytest.approx(1 / 3)
    assert np.isnan(known.numbers["hangul_thinking"][1:3]).all()
    assert {name for name, _ in known.reasons} == set(usable(rows.column_names))
    assert not {"gold_answer", "length_ratio"} & set(usable(rows.column_names))  # of columns that a mixture lacks


def test_of_overlapping_parts_the_last_holds(trial):
    found = explained(trial, f"step={AT + 1}-{AT + 3}")
    assert max(row.loss for row in found.rows) < 10
    assert [step.loss < 10 for step in found.steps] == [True] * 3
    assert found.steps[0].usual is not None


def test_a_pool_that_is_not_there_is_told(pool, trial):
    run = trial.parent.parent
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["pool"]["path"] = str(run / "none")
    (run / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    found = explained(run, f"step={AT}").proposal
    assert found.pool is None and "not built on this machine" in found.untold and found.mixture.removed > 0
    (run / "config.yaml").unlink()
    assert "config.yaml" in explained(run, f"step={AT}").proposal.untold
    config["pool"]["path"] = str(pool.path)
    (run / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    manifest = run / "mixtures" / "default" / "manifest.json"
    write_json(manifest, {**json.loads(manifest.read_text()), "pool": {"name": "planted", "digest": "other"}})
    assert "another pool" in explained(run, f"step={AT}").proposal.untold


def test_a_mixture_that_is_gone_or_replaced_is_told(trial):
    run = trial.parent.parent
    (file,) = (run / "mixtures").glob("*/data/*.parquet")
    rows = pq.read_table(file)
    pq.write_table(rows.slice(1), file)
    with pytest.raises(FindingsError, match="speaks of other rows"):
        explained(run, f"step={AT}")
    shutil.rmtree(run / "mixtures")
    with pytest.raises(RequestError, match="lacks data, manifest.json"):
        explained(run, f"step={AT}")


def test_the_whole_of_a_trial_leaves_nothing_to_compare_with(trial):
    found = explained(trial, f"step=1-{read_ledger(choose_one(Asked(trial))).steps}")
    assert found.compared.rows == 0 and not found.causes and found.proposal is None


def test_asked_is_what_was_given(tmp_path):
    assert read_asked(tmp_path, ["step=89-91", "arm=run1", "seed=2"]) == Asked(tmp_path, (89, 91), None, "run1", 2)
    assert replace(read_asked(tmp_path, ["step=7"]), steps=None) == Asked(tmp_path)
