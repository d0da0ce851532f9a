"""Which rows are told to repeat others, and which of them is kept."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.pool.duplicates import band_keys, hashed, normalised, same, signatures
from composer.pool.duplicates import near as near_of
from composer.pool.duplicates.near import shingles


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("오늘 날씨 어때?", "오늘날씨 어때", True),
        ("오늘 날씨 어때?!", "오늘  날씨\n어때…", True),
        ("What IS it?", "what is it", True),
        ("\u1112\u1161\u11ab", "한", True),
        ("1.5 더하기 2는?", "15 더하기 2는?", False),
        ("3+4는?", "3-4는?", False),
        ("f(x)!", "f(x)", True),
        ("5!는 몇?", "5는 몇?", False),
    ],
)
def test_what_does_not_change_what_a_text_says(one, other, alike):
    keys = hashed(normalised(pa.array([one, other])))
    assert (keys[0] == keys[1]) == alike


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30), st.randoms())
def test_of_the_same_rows_the_best_ranked_is_kept_in_any_order(rows, random):
    places = list(range(len(rows)))
    random.shuffle(places)
    keys, rank = np.array([key for key, _ in rows], dtype=np.uint64), np.arange(len(rows))
    found = same(keys, rank)
    for place, (key, _) in enumerate(rows):
        first = [k for k, _ in rows].index(key)
        assert found[place] == (-1 if first == place else first)
    moved = same(keys[places], rank[places])
    assert [places[at] if at >= 0 else -1 for at in moved] == found[places].tolist()


def near(told, rank):
    """As pools tell it: by the low bytes of the signatures, once the bands are made."""
    return near_of(band_keys(told), told.astype(np.uint8), rank)


def jaccard(one, other, size=5):
    def runs(text):
        text = "".join(text.split())
        return {text[at : at + size] for at in range(max(len(text) - size + 1, bool(text)))}

    return len(runs(one) & runs(other)) / max(len(runs(one) | runs(other)), 1)


@given(st.lists(st.text("가나다 a", max_size=12), max_size=6))
def test_shingles_are_runs_of_characters_without_spaces(texts):
    hashes, offsets = shingles(pa.array(texts, pa.string()))
    counted = [len(set(hashes[a:b].tolist())) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    bare = ["".join(text.split()) for text in texts]
    assert counted == [len({text[at : at + 5] for at in range(max(len(text) - 4, bool(text)))}) for text in bare]
    sets = [frozenset(hashes[a:b].tolist()) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    for one, first in enumerate(texts):
        for other, second in enumerate(texts):
            both = len(sets[one] & sets[other]) / max(len(sets[one] | sets[other]), 1)
            assert both == jaccard(first, second)


LETTERS = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호"


def texts_of(count, seed, length=200):
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list(LETTERS), length)) for _ in range(count)]


def changed(text, edits, random):
    letters = list(text)
    for place in random.choice(len(letters), edits, replace=False):
        letters[place] = "힣"
    return "".join(letters)


def test_signatures_agree_as_much_as_texts_are_alike():
    random = np.random.default_rng(0)
    texts = texts_of(100, 0)
    others = [changed(text, edits, random) for text, edits in zip(texts, np.arange(100) % 12, strict=True)]
    told, other = signatures(pa.array(texts)), signatures(pa.array(others))
    off = (told == other).mean(axis=1) - [jaccard(*pair) for pair in zip(texts, others, strict=True)]
    assert abs(off.mean()) < 0.015 and np.abs(off).max() < 0.17


def test_spacing_is_no_difference():
    text = texts_of(1, 1)[0]
    told = signatures(pa.array([text, " ".join(text), text[:80] + "\n" + text[80:]]))
    assert (told == told[0]).all()


def test_planted_duplicates_are_found_and_little_else():
    random, texts = np.random.default_rng(2), texts_of(3000, 2)
    planted = {}
    for place in range(600):
        source, edits = int(random.integers(3000)), int(random.choice([0, 1, 2, 3, 4, 9, 12]))
        planted[3000 + place] = source
        texts.append(changed(texts[source], edits, random))
    found = near(signatures(pa.array(texts)), np.arange(len(texts)))
    told = {place for place in range(len(texts)) if found[place] >= 0}
    alike = {place for place, source in planted.items() if jaccard(texts[place], texts[source]) >= 0.8}
    right = {place for place in told if jaccard(texts[place], texts[found[place]]) >= 0.7}
    assert len(alike) > 250 and len(told & alike) >= 0.95 * len(alike) and len(right) >= 0.98 * len(told)


def test_a_chain_of_rows_each_like_the_next_is_not_one_group():
    random, chain = np.random.default_rng(3), texts_of(1, 3)
    for _ in range(8):
        chain.append(changed(chain[-1], 3, random))
    found = near(signatures(pa.array(chain)), np.arange(len(chain)))
    kept = [place for place in range(len(chain)) if found[place] < 0]
    assert len(kept) >= 3 and kept[0] == 0
    assert all(found[found[place]] < 0 for place in range(len(chain)) if found[place] >= 0)


def test_which_rows_are_kept_is_the_ranks_and_not_the_orders():
    random, texts = np.random.default_rng(4), texts_of(60, 4)
    texts += [changed(texts[place % 60], place % 8, random) for place in range(200)]
    rank = random.permutation(len(texts))
    told = signatures(pa.array(texts))
    found, order = near(told, rank), random.permutation(len(texts))
    moved = near(told[order], rank[order])
    assert [order[at] if at >= 0 else -1 for at in moved] == found[order].tolist()
    dropped = np.flatnonzero(found >= 0)
    assert len(dropped) > 50 and (rank[found[dropped]] < rank[dropped]).all()


def test_no_rows_and_empty_rows():
    assert len(near(signatures(pa.array([], pa.string())), np.zeros(0, np.int64))) == 0
    assert len(same(np.zeros(0, np.uint64), np.zeros(0, np.int64))) == 0
    assert near(signatures(pa.array(["", "", "가"])), np.arange(3)).tolist() == [-1, 0, -1]
