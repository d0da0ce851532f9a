"""The benchmark tasks, read by lm-eval from small files of the hub's shape and answered by the mini base."""

import json
import math

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from composer.errors import TrialError
from composer.recipe import load_recipe
from composer.resources import base_model, eval_folder, eval_folders
from composer.trial.benchmark_items import rows
from composer.trial.evaluate import evaluate

# Rows as the hub's sets hold them, written for this test.
HUB = {
    "kmmlu_redux": {
        "test": [
            {"question": "다음 중 물의 끓는점은?", "options": ["0도", "50도", "100도", "200도"], "solution": 3},
            {"question": "전류의 단위는?", "options": ["볼트", "암페어", "옴", "와트"], "solution": 2},
        ]
    },
    "haerae": {
        part: [
            {
                "query": f"다음 물음에 답하시오. {part}\n(A) 가\n(B) 나\n(C) 다\n(D) 라\n(E) 마\n### 정답:",
                "answer": "(E)",
            }
        ]
        for part in ("general_knowledge", "history", "loan_words", "rare_words", "standard_nomenclature")
    },
    "mclm_ko": {
        "MT-AIME2024": [{"en": "One?", "ko": "하나에 하나를 더하면?", "answer": 2}],
        "MT-MATH100": [{"en": "Half?", "ko": "하나의 절반은?", "answer": "\\frac{1}{2}"}],
    },
    "hrm8k": {
        "GSM8K": [{"question": "사과 둘과 셋을 더하면?", "answer": 5.0}],
        "MATH": [{"question": "루트 사는?", "answer": "2"}],
        "KSM": [{"question": "삼의 제곱은?", "answer": "9"}],
        "MMMLU": [{"question": "일 더하기 일은? 1) 1 2) 2 3) 3 4) 4", "answer": "2"}],
        "OMNI_MATH": [{"question": "넷의 절반은?", "answer": "2"}],
    },
}
NAMES = {"kmmlu_redux": "kmmlu_redux", "haerae": "haerae_generative", "mclm_ko": "mclm_ko", "hrm8k": "hrm8k_generative"}
RIGHT = {
    "kmmlu_redux": "정답: {}",
    "haerae": "따라서 정답은 ({})입니다.",
    "mclm_ko": "\\boxed{{{}}}",
    "hrm8k": "답은 {}입니다.",
}


@pytest.fixture(scope="module")
def base():
    return (
        AutoModelForCausalLM.from_pretrained(base_model(), dtype="float32"),
        AutoTokenizer.from_pretrained(base_model()),
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder of tasks that include the shipped ones and read local copies, as eval/README.md tells users to."""
    folder = tmp_path_factory.mktemp("tasks")
    for benchmark, parts in HUB.items():
        (folder / benchmark).mkdir()
        for part, held in parts.items():
            lines = [json.dumps(row, ensure_ascii=False) for row in held]
            (folder / benchmark / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for kind in ("think", "no_think", "bpb"):
            shipped = eval_folder(benchmark) / f"{NAMES[benchmark]}_{kind}.yaml"
            declared = yaml.safe_load((shipped.parent / f"_{NAMES[benchmark]}").read_text().replace("!function ", ""))
            task = {
                "include": str(shipped),
                "task": f"local_{benchmark}_{kind}",
                "dataset_kwargs": {**declared["dataset_kwargs"], "dataset": str(folder / benchmark)},
            }
            if kind != "bpb":  # the mini base reads 1,024 tokens
                task["generation_kwargs"] = {"until": [], "do_sample": False, "max_gen_toks": 12}
            (folder / f"{benchmark}_{kind}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def evaluated(base, local):
    tasks = [f"local_{benchmark}_{kind}" for benchmark in HUB for kind in ("think", "no_think", "bpb")]
    return evaluate(*base, tasks, local, 8, None)


def tasks_of(folder):
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return manager, manager.all_subtasks


def loaded(folder, task):
    """A task's documents, prompts and grader, without a model."""
    manager, _ = tasks_of(folder)
    [found] = manager.load([task])["tasks"].values()
    return found


@pytest.mark.parametrize("benchmark", HUB)
def test_every_item_is_asked_and_graded(evaluated, benchmark):
    expected = sum(len(held) for held in HUB[benchmark].values())
    for mode in ("think", "no_think"):
        scores = evaluated.scores[f"local_{benchmark}_{mode}"]
        assert {"accuracy,none", "unfinished,none", "unanswered,none", "in_mode,none"} <= set(scores)
        assert scores["accuracy,none"] == 0.0  # the base answers none of this
        items = [row for row in evaluated.items.to_pylist() if row["task"] == f"local_{benchmark}_{mode}"]
        assert sum(row["metric"] == "accuracy" for row in items) == expected
        assert all(isinstance(row["response"], str) for row in items)
    assert math.isfinite(evaluated.scores[f"local_{benchmark}_bpb"]["bits_per_byte,none"])


def test_parts_have_scores_of_their_own(evaluated):
    assert {"accuracy_mt_aime2024,none", "accuracy_mt_math100,none"} <= set(evaluated.scores["local_mclm_ko_think"])


@pytest.mark.parametrize("benchmark", HUB)
@pytest.mark.parametrize("mode", ["think", "no_think"])
def test_the_gold_answer_is_right_and_another_wrong(local, benchmark, mode):
    task = loaded(local, f"local_{benchmark}_{mode}")
    think = "<think>생각한다.</think>" if mode == "think" else ""
    for doc in task.test_docs():
        prompt = task.doc_to_text(doc)
        assert doc["question"] in prompt
        assert prompt.endswith(" /no_think") == (mode == "no_think")
        assert "### 정답" not in prompt
        right = RIGHT[benchmark].format(doc["answer"])
        assert task.process_results(doc, [think + right])["accuracy"] == 1.0
        wrong = RIGHT[benchmark].format("A" if "options" in doc else "77")
        assert task.process_results(doc, [think + wrong])["accuracy"] == 0.0
        assert task.process_results(doc, [f"<think>{right}"])["unfinished"] == 1.0
        assert task.process_results(doc, [f"{think}{doc['response']}"])["accuracy"] == 1.0


def test_options_are_lettered(local):
    doc = next(iter(loaded(local, "local_kmmlu_redux_think").test_docs()))
    assert doc["answer"] == "C"
    assert "C. 100도" in loaded(local, "local_kmmlu_redux_think").doc_to_text(doc)


@pytest.mark.parametrize("benchmark", [*HUB, "daily"])
def test_generation_stops_at_the_end_of_the_text_alone(benchmark):
    manager, names = tasks_of(eval_folder(benchmark))
    assert len(names) == 3
    for name in names:
        declared = manager.task_index[name].cfg
        if not name.endswith("_bpb"):
            assert declared["generation_kwargs"]["until"] == []
            assert name.endswith(declared["metadata"]["mode"])
            assert declared["tag"] == f"ko_r1_3_{declared['metadata']['mode']}"


def test_the_config_names_tasks_and_metrics_that_are_there():
    benchmarks = load_recipe("ko_r1_3/run3", ["benchmarks=ko_r1_3"]).config.benchmarks
    declared = {}
    for folder in eval_folders(benchmarks.tasks):
        manager, names = tasks_of(folder)
        declared |= {name: manager.task_index[name].cfg for name in names}
    assert set(benchmarks.of) == {"kmmlu_redux", "haerae", "mclm_ko", "daily"}
    for of in benchmarks.of.values():
        for metric in (of.accuracy, of.smooth):
            [found] = [one for one in declared[metric.task]["metric_list"] if one["metric"] == metric.metric]
            assert found["higher_is_better"] == metric.higher_is_better


def test_the_daily_tasks_run(base, tmp_path):
    for mode in ("think", "no_think"):
        task = {
            "include": str(eval_folder("daily") / f"daily_{mode}.yaml"),
            "task": f"local_daily_{mode}",
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 16},
        }
        (tmp_path / f"{mode}.yaml").write_text(yaml.safe_dump(task))
    found = evaluate(*base, ["local_daily_think", "local_daily_no_think"], tmp_path, 16, 6)
    for scores in found.scores.values():
        assert scores["relevant,none"] == scores["consistent,none"] == 0.0
        assert scores["answered,none"] == 1.0


def test_a_local_copy_that_lacks_a_part_is_named(tmp_path):
    with pytest.raises(TrialError, match=r"MT-AIME2024.*cannot be read.*holds neither MT-AIME2024.jsonl"):
        list(rows(str(tmp_path), "MT-AIME2024"))
