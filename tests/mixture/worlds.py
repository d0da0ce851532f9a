"""Small pools, drawn or written out, and the slow reference that counts are held against."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from composer.config import EditConfig, MixtureConfig
from composer.mixture import Mixture
from composer.pool import Index
from composer.pool.hashes import row_hash, standings

Rows = list[tuple[str, str, str, int]]  # id, category, stratum, tokens
CATEGORIES = ("code", "daily", "mcqa", "think")


def index_of(rows: Rows) -> Index:
    return Index.from_rows(*zip(*rows, strict=True))


def grid(**strata: Sequence[int]) -> Rows:
    """For each category the sizes of its strata `s0`, `s1`, …; tokens go 10, 11, … 19, 10, …"""
    return [
        (f"{category}-{place}-{row}", category, f"s{place}", 10 + row % 10)
        for category, sizes in strata.items()
        for place, size in enumerate(sizes)
        for row in range(size)
    ]


@st.composite
def pools(draw: st.DrawFn, min_size: int = 1, max_size: int = 40) -> Rows:
    """A shuffled pool of one to four categories, each with one to four strata."""
    categories = draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=4, unique=True))
    sizes = st.lists(st.integers(min_size, max_size), min_size=1, max_size=4)
    rows = grid(**{category: draw(sizes) for category in categories})
    tokens = draw(st.lists(st.integers(1, 50), min_size=1, max_size=7))
    rows = [(name, category, stratum, tokens[i % len(tokens)]) for i, (name, category, stratum, _) in enumerate(rows)]
    draw(st.randoms(use_true_random=False)).shuffle(rows)
    return rows


@st.composite
def shares(draw: st.DrawFn, categories: Sequence[str]) -> dict[str, float]:
    """Shares of some of `categories` that sum to 1 but for rounding, some of them perhaps 0."""
    weights = draw(st.lists(st.integers(0, 20), min_size=len(categories), max_size=len(categories)).filter(any))
    return {category: weight / sum(weights) for category, weight in zip(categories, weights, strict=True)}


def by_share(size: int, quotas: dict[str, float], **more: object) -> MixtureConfig:
    config = MixtureConfig(by="share", size=size, quotas=quotas, **more)  # type: ignore[arg-type]
    assert not list(config.problems())
    return config


def by_rows(quotas: dict[str, int], **more: object) -> MixtureConfig:
    config = MixtureConfig(by="rows", quotas=dict(quotas), **more)  # type: ignore[arg-type]
    assert not list(config.problems())
    return config


def edits(*of: EditConfig) -> dict[str, EditConfig]:
    return {f"edit{number}": edit for number, edit in enumerate(of)}


def chosen(index: Index, mixture: Mixture) -> list[str]:
    """The ids in export order."""
    return [str(name) for name in index.ids.take(mixture.positions).to_pylist()]


def counts(mixture: Mixture) -> dict[str, int]:
    return {category: tally.rows for category, tally in mixture.categories.items()}


def sizes_of(rows: Rows, category: str) -> dict[str, int]:
    """The rows of each stratum of a category, by name."""
    names = [stratum for _, of, stratum, _ in rows if of == category]
    return {name: names.count(name) for name in sorted(set(names))}


def reference(seats: int, weights: Sequence[int | float], caps: Sequence[int] | None = None) -> list[int]:
    """Sainte-Laguë as its definition says it, seat by seat, in fractions."""
    held = [0] * len(weights)
    for _ in range(seats):
        free = [i for i, w in enumerate(weights) if w > 0 and (caps is None or held[i] < caps[i])]
        winner = max(free, key=lambda i: (Fraction(weights[i]) / (2 * held[i] + 1), -i))
        held[winner] += 1
    return held


def collide(rows: Rows, kinds: int) -> Index:
    """The index of rows that stand at only `kinds` different places, so that many tie."""
    hashes = np.array([row_hash(name) for name, *_ in rows], np.uint64)
    return Index.from_rows(*zip(*rows, strict=True), stands=(standings(hashes) % np.uint64(kinds)).tolist())
