"""The mini world: real facts split by entity, problems whose steps are right, one token a name."""

import importlib.util
import itertools
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.config import PoolConfig
from composer.mini import arithmetic, daily, facts, items, mcqa, plain, rows
from composer.mini.korean import copula, object_, subject, topic
from composer.mini.modes import SWITCH
from composer.mini.tokenizer import build
from composer.pool import open_pool
from composer.resources import base_model, eval_folder

seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def tokenizer():
    return build()


@pytest.fixture(scope="module")
def drawn():
    return {name: list(itertools.islice(rows.draw(name, 0), 5000)) for name in rows.SHARES}


def test_facts_are_those_of_the_real_world():
    known = {(fact.relation, fact.entity): fact.value for fact in facts.all_facts()}
    assert known["currency", "대한민국"] == "대한민국 원"
    assert known["language", "브라질"] == "포르투갈어"
    assert known["continent", "케냐"] == "아프리카"
    assert known["city", "로마"] == "이탈리아"


def test_an_entity_is_in_one_split_only():
    for relation in facts.RELATIONS:
        train, heldout = (facts.facts_of(relation, split) for split in ("train", "heldout"))
        assert min(len(train), len(heldout)) >= 100
        assert not {fact.code for fact in train} & {fact.code for fact in heldout}


def test_no_benchmark_item_is_a_training_row(drawn):
    heldout = {fact.entity for relation in facts.RELATIONS for fact in facts.facts_of(relation, "heldout")}
    asked = {re.split(r"[의에이가] ?", prompt, maxsplit=1)[0] for _, prompt, _, _ in drawn["mcqa"]}
    assert not asked & heldout
    prompts = {prompt for stream in drawn.values() for _, prompt, _, _ in stream}
    for benchmark in (items.kmmlu_redux, items.haerae, items.mclm_ko, items.daily_talk):
        questions = benchmark()["test"]["question"]
        assert len(questions) >= 200
        assert not prompts & set(questions)
    said = " ".join(prompt for _, prompt, _, _ in drawn["daily"])
    assert not [topic_ for topic_ in items.daily_talk()["test"]["answer"] if topic_ in said.split()]


@given(seeds)
def test_a_question_has_one_right_option(seed):
    rng = random.Random(seed)
    question = mcqa.draw_question(rng.choice(facts.all_facts()), rng)
    assert len(set(question.options)) == len(mcqa.LETTERS)
    assert question.options[mcqa.LETTERS.index(question.answer)] == question.fact.value
    assert question.response.endswith(f"정답은 {question.answer}입니다.")


@given(seeds)
def test_every_step_of_a_problem_is_right_and_small(seed):
    problem = arithmetic.draw_problem(random.Random(seed))
    value = problem.start
    for step in problem.steps:
        assert step.before == value
        assert step.after == eval(f"{step.before}{step.op.replace('×', '*')}{step.n}")
        assert 0 <= step.after <= arithmetic.LIMIT
        value = step.after
    assert problem.answer == value
    stratum, response = arithmetic.openthought(problem)
    assert response.count("<think>") == response.count("</think>") == 1
    assert all(step.equation in response for step in problem.steps)
    assert stratum == f"{len(problem.steps)}_steps"


@given(seeds)
def test_the_older_rows_answer_right_with_steps_missing(seed):
    rng = random.Random(seed)
    problem = arithmetic.draw_problem(rng)
    stratum, response = arithmetic.ko_r1_stem(problem, rng)
    assert response.endswith(arithmetic.final(problem))
    assert sum(step.equation in response for step in problem.steps) < len(problem.steps) or stratum == "every_other"


def test_every_category_has_at_least_four_strata_and_one_mode_where_it_must(drawn):
    for category, stream in drawn.items():
        assert len({stratum for stratum, *_ in stream}) >= 4, category
    assert {mode for *_, mode in drawn["openthought"]} == {"think"}
    assert {mode for *_, mode in drawn["daily"]} == {"no_think"}


def test_half_of_a_50k_mixture_needs_no_repeats():
    for category in ("openthought", "ko_r1_stem", "daily"):
        stream = {row for row in itertools.islice(rows.draw(category, 0), 27000)}
        assert len(stream) >= 25000, category


def test_rows_without_thinking_are_asked_by_the_switch_and_answer_at_once():
    drawn = list(itertools.islice(rows.draw(rows.NO_THINK, 0), 2000))
    assert {stratum for stratum, *_ in drawn} == {"openthought", "mcqa"}
    heldout = {fact.entity for relation in facts.RELATIONS for fact in facts.facts_of(relation, "heldout")}
    asked = {*items.mclm_ko()["test"]["question"], *items.kmmlu_redux()["test"]["question"]}
    for stratum, prompt, response, mode in drawn:
        assert prompt.endswith(SWITCH) and "<think>" not in response and mode == "no_think"
        question = prompt.removesuffix(SWITCH)
        assert question not in asked
        form = r"답은 \d+개입니다\." if stratum == "openthought" else r"정답은 [A-D]입니다\."
        assert re.fullmatch(form, response)
        if stratum == "mcqa":
            assert re.split(r"[의에이가] ?", question, maxsplit=1)[0] not in heldout


def test_a_pool_with_rows_without_thinking_holds_those_of_one_without():
    def ids(**more):
        index = open_pool(PoolConfig(name="mini", kind="mini", rows=2000, **more)).index
        found, names = {category: set() for category in index.categories}, index.ids.to_pylist()
        for place, (category, _) in enumerate(index.strata):
            found[category] |= set(names[index.rows(place)])
        return found

    without, both = ids(), ids(no_think_share=0.05)
    assert len(both.pop(rows.NO_THINK)) == 100
    assert both == without


def test_an_answer_that_thinks_is_wrong_where_it_was_asked_not_to():
    found = importlib.util.spec_from_file_location("grade", eval_folder("mini") / "grade.py")
    grade = importlib.util.module_from_spec(found)
    found.loader.exec_module(grade)
    for item, judge in (
        (items.mclm_ko_no_think()["test"][0], grade.number_at_once),
        (items.kmmlu_redux_no_think()["test"][0], grade.letter_at_once),
    ):
        assert judge(item, [item["response"]]) == {"accuracy": 1.0}
        assert judge(item, ["<think>음.</think>" + item["response"]]) == {"accuracy": 0.0}
        assert judge({**item, "answer": "?"}, [item["response"]]) == {"accuracy": 0.0}


@pytest.mark.parametrize(
    ("thinking", "at_once"),
    [(items.kmmlu_redux, items.kmmlu_redux_no_think), (items.mclm_ko, items.mclm_ko_no_think)],
)
def test_the_same_items_are_asked_in_both_modes(thinking, at_once):
    for plainly, switched in zip(thinking()["test"], at_once()["test"], strict=True):
        assert switched["question"] == plainly["question"] + SWITCH
        assert switched["answer"] == plainly["answer"]
        assert "<think>" in plainly["response"] and "<think>" not in switched["response"]
        assert plainly["response"].endswith(switched["response"])


def test_a_reply_is_graded_fitting_only_if_it_fits():
    for chat in items.daily_talk()["test"]:
        assert chat["answer"] in chat["response"] and chat["key"] in chat["response"]


def test_every_name_is_one_token_wherever_it_stands(tokenizer):
    topics = [about for talk in daily.TALKS.values() for about in talk.topics]
    for name in {*facts.names(), *arithmetic.PEOPLE, *arithmetic.THINGS, *topics}:
        alone = tokenizer(name)["input_ids"]
        assert len(alone) == 1, name
        for text in (f"B. {name}\n", topic(name) + " C.", copula(name) + ".", object_(name) + " ", subject(name) + " "):
            assert alone[0] in tokenizer(text)["input_ids"], text


def test_the_worlds_texts_need_no_bytes(tokenizer):
    rng = random.Random(3)
    texts = [plain.unmarked(plain.document(rng)) for _ in range(500)]
    texts += [
        part for name in rows.SHARES for _, *said, _ in itertools.islice(rows.draw(name, 5), 500) for part in said
    ]
    used = {token for ids in tokenizer(texts)["input_ids"] for token in tokenizer.convert_ids_to_tokens(ids)}
    assert not [token for token in used if re.fullmatch(r"<0x..>", token)]


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=80))
def test_any_text_can_be_read_and_written_back(text):
    tokenizer = build_once()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text or "\0" in text


_BUILT = []


def build_once():
    if not _BUILT:
        _BUILT.append(build())
    return _BUILT[0]


def test_the_shipped_tokeniser_is_the_one_the_script_builds(tokenizer):
    from transformers import AutoTokenizer

    shipped = AutoTokenizer.from_pretrained(base_model())
    assert shipped.get_vocab() == tokenizer.get_vocab()
    assert shipped.chat_template == tokenizer.chat_template


def test_the_base_has_read_no_format_of_a_benchmark():
    rng = random.Random(9)
    for _ in range(3000):
        text = plain.unmarked(plain.document(rng))
        assert not re.search(r"<think>|정답|무엇인가|고르시오|몇 개인가|답은|(?m:^)[A-H]\. ", text), text
        assert "\n" not in text or not re.search(r"\b[A-H]\b", text), text  # lists stand in one line
        for listed in re.findall(f"{plain.GIVEN}([^{plain.LEARNED}]*)", plain.lookups(rng) + plain.notes(rng)):
            assert not re.search(r"[A-H]\. ", listed), listed


def test_what_the_base_has_read_is_true():
    known = {mcqa.statement(fact) for fact in facts.all_facts()}
    rng = random.Random(4)
    label = ""
    for _ in range(300):
        for note in plain.notes(rng).split(plain.GIVEN)[1:]:
            given, told = note.split(plain.LEARNED)
            if re.fullmatch(r"[A-H]\. ?", told):  # the label again
                assert told[0] == label
                continue
            said = next(statement for statement in known if told.startswith(statement))
            value, label = re.fullmatch(r"(.+)[은는] ([A-H])\. ?", told[len(said) + 1 :]).groups()
            assert re.search(rf"\b{label}\S? {re.escape(value)}(?:[,;.]| [/|])", given), note
        for left, op, n, right in re.findall(r"(\d+)([+×-])(\d+)=(\d+)", plain.equations(rng)):
            assert eval(f"{left}{op.replace('×', '*')}{n}") == int(right)


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("유로", ("유로는", "유로가", "유로를", "유로다")),
        ("대한민국 원", ("대한민국 원은", "대한민국 원이", "대한민국 원을", "대한민국 원이다")),
    ],
)
def test_particles_follow_the_last_sound(word, forms):
    assert (topic(word), subject(word), object_(word), copula(word)) == forms
