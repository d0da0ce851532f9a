"""The daily benchmark passes replies that fit, and nothing that answers every question alike."""

import importlib.util
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.resources import eval_folder
from composer.trial.grading import bits_per_byte


def module(name):
    spec = importlib.util.spec_from_file_location(f"daily_{name}", eval_folder("daily") / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


grade, items = module("grade"), module("items")
GROUPS = items.groups()
DOCS = {mode: items.items(mode)["test"].to_list() for mode in ("think", "no_think")}


def score(answer_to, mode="no_think"):
    """Accuracy, and the share of groups that pass whole, of a model that says `answer_to(doc)`."""
    passed = [grade.fitting(doc, [answer_to(doc)])["accuracy"] for doc in DOCS[mode]]
    return sum(passed) / len(passed), grade.whole_groups(passed)


def thinking(text):
    return f"<think>무엇을 묻는지 살펴보자.</think>{text}"


def test_there_are_two_hundred_prompts_in_groups_of_three():
    prompts = [prompt for group in GROUPS for prompt in group["prompts"]]
    assert len(prompts) == len(set(prompts)) >= 200
    assert {len(group["prompts"]) for group in GROUPS} == {grade.PARAPHRASES}
    assert len({group["group"] for group in GROUPS}) == len(GROUPS)
    assert [doc["group"] for doc in DOCS["think"]] == [g["group"] for g in GROUPS for _ in range(grade.PARAPHRASES)]


def test_no_prompt_holds_a_key_word_of_its_group():
    for group in GROUPS:
        for prompt in group["prompts"]:
            squeezed = "".join(prompt.split())
            assert [key for key in group["keys"] if key in squeezed] == [], group["group"]


def test_replies_that_fit_pass_in_both_modes():
    assert score(lambda doc: doc["response"]) == (1.0, 1.0)
    assert score(lambda doc: thinking(doc["response"]), "think") == (1.0, 1.0)


def test_the_wrong_mode_fails():
    assert score(lambda doc: thinking(doc["response"])) == (0.0, 0.0)
    assert score(lambda doc: doc["response"], "think") == (0.0, 0.0)


def test_an_echo_fails():
    assert score(lambda doc: doc["question"]) == (0.0, 0.0)
    assert score(lambda doc: f"{doc['question']} {doc['question']}") == (0.0, 0.0)
    assert score(lambda doc: f"질문은 다음과 같습니다. {doc['question']} 좋은 질문입니다.") == (0.0, 0.0)


@pytest.mark.parametrize(
    "constant",
    [
        "좋은 질문이네요. 더 궁금한 것이 있으면 언제든 말씀해 주세요.",
        "죄송하지만 그 질문에는 답해 드릴 수 없습니다.",
        "네.",
        "",
        "I am happy to help you with that question.",
    ],
)
def test_a_polite_constant_fails(constant):
    assert score(lambda doc: constant) == (0.0, 0.0)


def test_no_fitting_reply_fits_all():
    best = max(score(lambda doc, said=group["reply"]: said) for group in GROUPS)
    assert best[0] < 0.15


def test_a_constant_made_to_pass_fails():
    """Key words are strung together for as long as one more lets more groups pass."""
    said, held = "", 0.0
    for key in sorted({key for group in GROUPS for key in group["keys"]}):
        longer = f"{said} {key}"
        passed = [grade.fitting(doc, [longer])["accuracy"] for doc in DOCS["no_think"][:: grade.PARAPHRASES]]
        accuracy = sum(passed) / len(passed)
        if accuracy > held:
            said, held = longer, accuracy
    assert 0.1 < held < 0.2  # the search does find what the rules let through, and that is little
    everything = " ".join(key for group in GROUPS for key in group["keys"])
    assert score(lambda doc: everything) == (0.0, 0.0)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(sorted({key for group in GROUPS for key in group["keys"]})), max_size=60))
def test_no_words_fit_more_groups_than_the_rule_allows(words):
    docs = DOCS["no_think"][:: grade.PARAPHRASES]
    assert sum(grade.fitting(doc, [" ".join(words)])["relevant"] for doc in docs) <= grade.MOST_OTHERS + 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("answered", "<think>무엇을 묻는지 살펴보자.</think>"),
        ("in_mode", "대한민국의 수도는 서울입니다."),
        ("brief_thinking", f"<think>{'서울일까 부산일까 생각해 보자. ' * 200}</think>서울입니다."),
        ("brief_thinking", "<think>서울일까 부산일까"),
        ("korean", thinking("The capital of the Republic of Korea is Seoul (서울), a city on the Han river.")),
        ("in_length", thinking("서울입니다. " + "".join(chr(0xAC00 + i) for i in range(1001)))),
        ("varied", thinking("서울입니다. " * 20)),
        ("varied", thinking("서울입니다아아아아아아아아아아아아.")),
        ("own_words", thinking("대한민국의 수도는 어디야?")),
        ("relevant", thinking("부산은 바다가 아름다운 도시입니다.")),
    ],
)
def test_each_rule_finds_what_it_is_for(rule, text):
    doc = next(doc for doc in DOCS["think"] if doc["group"] == "korea_capital")
    graded = grade.fitting(doc, [text])
    assert (graded[rule], graded["accuracy"]) == (0.0, 0.0)
    assert grade.fitting(doc, [thinking("서울입니다.")])[rule] == 1.0


def test_one_failing_paraphrase_fails_its_group():
    assert grade.whole_groups([1, 1, 1, 1, 0, 1]) == 0.5
    assert grade.whole_groups([]) == 0.0


def test_the_reference_is_what_the_smooth_score_measures():
    doc = DOCS["no_think"][0]
    assert bits_per_byte(doc, [(-8.0 * len(doc["response"].encode()), False)])["bits_per_byte"] > 11


def test_every_line_is_json_with_its_columns():
    for line in items.PROMPTS.read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == {"group", "kind", "prompts", "keys", "reply"}
