from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from composer.config import EditConfig
from composer.errors import ConfigError
from composer.mixture import apply_edits, compose

from .worlds import CATEGORIES, by_rows, by_share, counts, edits, grid, index_of, reference

COUNTS = st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 400), min_size=2).filter(
    lambda of: any(of.values())
)


def edited(before: dict[str, int], *of: EditConfig) -> dict[str, int]:
    return apply_edits(before, edits(*of), CATEGORIES)


def refused(before: dict[str, int], *of: EditConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        edited(before, *of)
    return str(caught.value)


@given(COUNTS, st.data())
def test_drop_takes_its_rows_and_no_others(before: dict[str, int], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(before)))
    rest = {category: rows for category, rows in before.items() if category != gone}
    assume(any(rest.values()))
    assert edited(before, EditConfig(drop=gone)) == rest


@given(COUNTS, st.permutations(CATEGORIES))
def test_replace_hands_the_count_over(before: dict[str, int], names: list[str]) -> None:
    old, new = names[:2]
    assume(old in before)
    after = edited(before, EditConfig(replace={old: new}))
    assert old not in after
    assert after[new] == before.get(new, 0) + before[old]
    assert sum(after.values()) == sum(before.values())
    assert all(after[name] == before[name] for name in names[2:] if name in before)


def test_two_categories_may_swap() -> None:
    swap = EditConfig(replace={"mcqa": "code", "code": "mcqa"})
    assert edited({"code": 5, "mcqa": 7, "daily": 1}, swap) == {"code": 7, "daily": 1, "mcqa": 5}


@given(COUNTS, st.integers(1, 1000))
def test_resize_apportions_the_present_counts(before: dict[str, int], rows: int) -> None:
    names = sorted(before)
    expected = reference(rows, [before[name] for name in names])
    assert edited(before, EditConfig(resize=rows)) == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize(
    ("size", "factor", "rows"), [(157_667, 0.3, 47_300), (5, 0.3, 2), (5, 0.1, 1), (50_000, 2.0, 100_000), (3, 1.5, 5)]
)
def test_scale_rounds_a_half_row_up(size: int, factor: float, rows: int) -> None:
    first = size // 3
    after = edited({"code": first, "mcqa": size - first}, EditConfig(scale=factor))
    assert sum(after.values()) == rows
    assert after == edited({"code": first, "mcqa": size - first}, EditConfig(resize=rows))


@given(COUNTS, st.sampled_from(CATEGORIES), st.integers(0, 500))
def test_set_with_the_rest_fixed_moves_nothing_else(before: dict[str, int], category: str, rows: int) -> None:
    assume(rows or any(n for name, n in before.items() if name != category))
    assert edited(before, EditConfig(set={category: rows}, rest="fixed")) == {**before, category: rows}


@given(COUNTS, st.data())
def test_set_with_the_rest_rescaled_keeps_the_size_and_the_rests_proportions(
    before: dict[str, int], data: st.DataObject
) -> None:
    size = sum(before.values())
    category = data.draw(st.sampled_from(CATEGORIES))
    rows = data.draw(st.integers(0, size))
    rest = sorted(name for name in before if name != category)
    assume(any(before[name] for name in rest))
    after = edited(before, EditConfig(set={category: rows}))
    expected = reference(size - rows, [before[name] for name in rest])
    assert after == {**dict(zip(rest, expected, strict=True)), category: rows}


@given(COUNTS, st.sampled_from(CATEGORIES), st.integers(0, 99))
def test_share_with_the_rest_fixed_is_the_nearest_row(before: dict[str, int], category: str, percent: int) -> None:
    rest = {name: rows for name, rows in before.items() if name != category}
    others = sum(rest.values())
    assume(others)
    after = edited(before, EditConfig(share={category: percent / 100}, rest="fixed"))
    off = after.pop(category) - Fraction(percent * others, 100 - percent)
    assert -Fraction(1, 2) < off <= Fraction(1, 2)
    assert after == rest


@given(COUNTS, st.sampled_from(CATEGORIES), st.integers(0, 99))
def test_share_with_the_rest_rescaled_is_set_at_the_nearest_row(
    before: dict[str, int], category: str, percent: int
) -> None:
    size = sum(before.values())
    assume(any(rows for name, rows in before.items() if name != category))
    rows = (2 * percent * size + 100) // 200
    assert edited(before, EditConfig(share={category: percent / 100})) == edited(
        before, EditConfig(set={category: rows})
    )


def test_several_shares_at_once() -> None:
    before = {"daily": 60, "mcqa": 20, "think": 20}
    shares = {"code": 0.25, "mcqa": 0.25}
    assert edited(before, EditConfig(share=shares)) == {"code": 25, "daily": 38, "mcqa": 25, "think": 12}
    assert edited(before, EditConfig(share=shares, rest="fixed")) == {"code": 40, "daily": 60, "mcqa": 40, "think": 20}
    assert sum(edited({"daily": 1, "think": 1}, EditConfig(share={"daily": 0.5, "think": 0.5})).values()) == 2


def test_edits_apply_in_their_order_to_realised_counts() -> None:
    before = {"daily": 50, "mcqa": 30, "think": 20}
    drop, half = EditConfig(drop="mcqa"), EditConfig(scale=0.5)
    more = EditConfig(set={"code": 10}, rest="fixed")
    assert edited(before, drop, half, more) == {"code": 10, "daily": 25, "think": 10}
    assert edited(before, more, half, drop) == {"code": 5, "daily": 25, "think": 10}


@pytest.mark.parametrize("by", ["share", "rows", "tokens"])
def test_edits_are_the_same_whatever_the_quotas_count(by: str) -> None:
    index = index_of(grid(mcqa=[200], daily=[100], code=[90]))
    base: dict[str, Any] = {"edits": edits(EditConfig(replace={"daily": "code"}), EditConfig(scale=0.5))}
    config = {
        "share": by_share(120, {"mcqa": 0.75, "daily": 0.25}, **base),
        "rows": by_rows({"mcqa": 90, "daily": 30}, **base),
        "tokens": by_rows({"mcqa": 10**9, "daily": 10**9}, **base),
    }[by]
    if by == "tokens":
        whole = compose(index, by_rows({"mcqa": 90, "daily": 30}))
        config.by = "tokens"
        config.quotas = {name: whole.categories[name].tokens for name in ("mcqa", "daily")}
    assert counts(compose(index, config)) == {"code": 15, "mcqa": 45}


BEFORE = {"daily": 50, "mcqa": 30}
ALLOWED = "the pool has no such category; it must be one of code, daily, mcqa, think"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (EditConfig(drop="mqca"), f"mixture.edits.edit0.drop names mqca: {ALLOWED}"),
        (EditConfig(replace={"mcqa": "math"}), f"mixture.edits.edit0.replace names math: {ALLOWED}"),
        (EditConfig(replace={"math": "mcqa"}), f"mixture.edits.edit0.replace names math: {ALLOWED}"),
        (EditConfig(set={"math": 3}), f"mixture.edits.edit0.set names math: {ALLOWED}"),
        (EditConfig(share={"math": 0.3}), f"mixture.edits.edit0.share names math: {ALLOWED}"),
        (EditConfig(drop="code"), "mixture.edits.edit0.drop names code: it is not in the mixture at that point, "),
        (EditConfig(replace={"code": "mcqa"}), "which holds daily, mcqa"),
        (EditConfig(set={"mcqa": 81}), "mixture.edits.edit0.set sums to 81 rows: the mixture has 80; set fewer, or"),
        (EditConfig(set={"mcqa": 30, "daily": 30}), "sums to 60 of 80 rows and no other category can take the rest"),
        (EditConfig(share={"mcqa": 0.7, "code": 0.4}), "mixture.edits.edit0.share sums to 1.1: shares must leave"),
        (EditConfig(share={"mcqa": 0.5, "code": 0.5}, rest="fixed"), "mixture.edits.edit0.share sums to 1: shares"),
        (EditConfig(set={"mcqa": 0, "daily": 0}, rest="fixed"), "mixture.edits.edit0.set leaves no rows"),
        (EditConfig(scale=0.001), "mixture.edits.edit0.scale leaves no rows in the mixture"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_by_its_key(edit: EditConfig, said: str) -> None:
    assert said in refused(BEFORE, edit)


def test_every_unknown_category_is_named_at_once() -> None:
    said = refused(BEFORE, EditConfig(drop="a"), EditConfig(set={"b": 1, "c": 2}))
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "mixture.edits.edit0.drop names a",
        "mixture.edits.edit1.set names b",
        "mixture.edits.edit1.set names c",
    ]


def test_what_an_earlier_edit_took_is_not_there_any_more() -> None:
    assert "edit1.drop names mcqa" in refused(BEFORE, EditConfig(drop="mcqa"), EditConfig(drop="mcqa"))
    assert "edit1.drop leaves no rows" in refused(BEFORE, EditConfig(drop="mcqa"), EditConfig(drop="daily"))
