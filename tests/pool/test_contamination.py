"""Which rows give a benchmark's items away."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from composer.pool.contamination import Contamination, Item

ITEMS = [
    Item(
        "kmmlu",
        "0",
        (
            "다음 중 옳은 것은?",
            "전기 저항은 길이에 비례한다",
            "전기 저항은 단면적에 비례한다",
            "전류는 저항에 비례한다",
            "없다",
        ),
    ),
    Item(
        "kmmlu",
        "1",
        ("다음 중 옳은 것은?", "서울은 부산의 남쪽이다", "대전은 광주의 북쪽에 있다", "제주는 섬이 아니다", "없다"),
    ),
    Item("mclm", "0", ("Find the number of positive integers n less than 100 such that n squared ends in 44.",)),
    Item("haerae", "0", ("'눈치'의 뜻은?", "남의 마음을 알아채는 것", "눈의 크기", "눈 온 날")),
    Item("daily", "0", ("저녁 뭐 먹지?",)),
    Item("daily", "1", ("왜?",)),
]


def told(*texts, **given):
    found = Contamination(ITEMS, **given).find(pa.array(texts, pa.string()))
    return {one.row: (ITEMS[one.item].benchmark, ITEMS[one.item].id) for one in found}


def test_an_item_is_found_whatever_the_spacing_and_whatever_stands_about_it():
    text = "find the number of positive   integers N less than 100, such that n squared ends in 44"
    assert told(text, f"문제: {text} 답은 12.", text.replace(" ", ""), "Find the number of positive integers.") == {
        row: ("mclm", "0") for row in range(3)
    }


def test_options_in_another_order_and_with_other_letters_are_the_same_item():
    question, *options = ITEMS[0].parts
    listed = "\n".join(f"{number}) {option}" for number, option in enumerate(reversed(options), 1))
    assert told(f"{question}\n{listed}", f"다음중옳은것은 {' '.join(options)}") == dict.fromkeys((0, 1), ("kmmlu", "0"))


def test_a_question_that_many_items_share_is_not_one_of_them():
    assert (
        told(
            "다음 중 옳은 것은?",
            "다음 중 옳은 것은? 1) 하늘은 파랗다 2) 바다는 빨갛다 3) 없다",
            "전기 저항은 길이에 비례한다",
        )
        == {}
    )


def test_short_items_are_found_and_too_short_ones_told():
    assert told("오늘 저녁 뭐 먹지? 추천해 줘.", "저녁 먹지 마") == {0: ("daily", "0")}
    assert told("눈치의 뜻은 무엇일까? 남의 마음을 알아채는 것, 눈의 크기, 눈 온 날") == {0: ("haerae", "0")}
    assert Contamination(ITEMS).too_short == [5]


def test_a_threshold_asks_for_more_of_an_item():
    half = "Find the number of positive integers n less than 100 and so on"
    assert told(half) == {} and told(half, threshold=0.5) == {0: ("mclm", "0")}


def test_of_two_items_that_of_which_more_stands_there_is_told():
    items = [
        Item("a", "0", ("하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉",)),
        Item("a", "1", ("하나 둘 셋 넷 다섯 여섯 일곱 여덟",)),
    ]
    (found,) = Contamination(items, 0.5).find(pa.array(["하나 둘 셋 넷 다섯 여섯 일곱 여덟 열"]))
    assert found.item == 1 and found.share == 1.0


def test_no_items_and_no_rows():
    assert Contamination([]).find(pa.array(["가나다라마바사아자"])) == []
    assert Contamination(ITEMS).find(pa.array([], pa.string())) == []
    assert Contamination(ITEMS).find(pa.array(["", "가"])) == []


DATA = Path(os.environ.get("COMPOSER_DATA", "../shared/data")) / "pool"


@pytest.mark.skipif(not DATA.is_dir(), reason="the data of the pool are not here: set COMPOSER_DATA")
def test_gsm8k_s_test_questions_are_found_in_korean_rows_that_quote_them_and_not_in_its_training_rows():
    def lines(name):
        return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]

    items = [Item("gsm8k", str(place), (one["question"],)) for place, one in enumerate(lines("gsm8k/test.jsonl"))]
    known = Contamination(items)
    quoted = [one["question"] for one in lines("kt_ko_math/reasoning-data__kor-gsm8k__kor-gsm8k-test.jsonl")]
    found = known.find(pa.array(quoted))
    assert len(found) >= 0.99 * len(quoted)
    train = [one["question"] for one in lines("gsm8k/train.jsonl")][:1500]
    assert len(known.find(pa.array(train))) < 0.01 * len(train)
