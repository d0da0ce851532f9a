"""What is known of each row of a mixture: what filters would say of it, how much Korean is where, how long it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.findings.trace.rows import COLUMNS, Filters, batch_of, usable
from composer.findings.trace.separation import Floats, Mask
from composer.pool.curate.content import asked_and_all
from composer.pool.duplicates import hashed
from composer.pool.filters import first_reasons
from composer.pool.filters.letters import Letters, prose

LABELS = ("category", "source", "stratum", "mode")
READ = (*COLUMNS, "source", "stratum", "mode")  # the columns that features are made of
TOKENS, REPEATED = "tokens", "repeated"
# → part of a row, and the filter that has the share of Hangul in it for a parameter.
HANGUL = {
    "hangul_prompt": ("prompt", "korean_prompt"),
    "hangul_thinking": ("thinking", "thinking_language"),
    "hangul_answer": ("answer", "korean_response"),
}

Reason = tuple[str, str]  # a filter, and why it rejects a row


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of n rows.

    Attributes:
        reasons: Filter and reason → (n,) whether the filter would reject the row, for that reason first.
        numbers: `tokens`, as the pool counts them, and the shares of Hangul among the letters of the prompt, the
            thinking and the answer, code and LaTeX left out → (n,); NaN where there is no letter.
        labels: `category`, `source`, `stratum`, `mode` → (n,) dictionary-encoded text.
        content: (n,) a hash of all that a row says.
    """

    reasons: Mapping[Reason, Mask]
    numbers: Mapping[str, Floats]
    labels: Mapping[str, pa.ChunkedArray]
    content: NDArray[np.uint64]

    @property
    def repeated(self) -> Mask:
        """(n,) whether what a row says stands in these rows more than once."""
        _, of, counts = np.unique(self.content, return_inverse=True, return_counts=True)
        found: Mask = counts[of] > 1
        return found


def features(rows: pa.Table, declared: Mapping[str, Filters]) -> Features:
    """What is known of some thousand rows.

    Args:
        rows: (n,) with the columns `READ`.
        declared: Category → filters; one that is not declared for a row's category has its default parameters.
    """
    batch = batch_of(rows)
    letters = {name: Letters(prose(getattr(batch, part))) for name, (part, _) in HANGUL.items()}
    numbers = {name: np.where(_letters(told) > 0, told.hangul_share, np.nan) for name, told in letters.items()}
    return Features(
        reasons=_reasons(rows, declared),
        numbers={TOKENS: rows["n_tokens"].to_numpy().astype(float), **numbers},
        labels={name: pc.dictionary_encode(rows[name].cast(pa.string())) for name in LABELS},
        content=hashed(asked_and_all(rows["messages"].combine_chunks())[1]),
    )


def joined(parts: Sequence[Features]) -> Features:
    """The features of all rows of several parts, at least one, in their order."""
    names = dict.fromkeys(name for part in parts for name in part.reasons)
    return Features(
        reasons={
            name: np.concatenate([part.reasons.get(name, np.zeros(len(part.content), dtype=bool)) for part in parts])
            for name in names
        },
        numbers={name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers},
        labels={
            name: pa.chunked_array([chunk for part in parts for chunk in part.labels[name].chunks]).unify_dictionaries()
            for name in LABELS
        },
        content=np.concatenate([part.content for part in parts]),
    )


def rejected(rows: pa.Table, asked: Mapping[str, Filters]) -> Mask:
    """(n,) whether a filter that is asked of a row's category rejects it; `rows` have the columns `COLUMNS`."""
    batch, found = batch_of(rows), np.zeros(len(rows), dtype=bool)
    for category, filters in asked.items():
        place, _ = first_reasons(batch, filters)
        found |= (place >= 0) & np.asarray(pc.equal(rows["category"].combine_chunks(), category))
    return found


def _reasons(rows: pa.Table, declared: Mapping[str, Filters]) -> dict[Reason, Mask]:
    """Each filter on all rows, once for every set of parameters that it has among their categories."""
    batch, categories = batch_of(rows), rows["category"].combine_chunks()
    present = pc.unique(categories).to_pylist()
    found = dict[Reason, Mask]()
    for name in usable(rows.column_names):
        of_parameters: defaultdict[tuple[tuple[str, object], ...], list[str]] = defaultdict(list)
        for category in present:
            given = declared.get(category, {}).get(name, {})
            of_parameters[tuple(sorted(given.items()))].append(category)
        for parameters, mine in of_parameters.items():
            place, reasons = first_reasons(batch, {name: dict(parameters)})
            here = _one_of(categories, mine)
            for at, reason in enumerate(reasons):
                key = (name, reason.removeprefix(f"{name}: "))
                found[key] = found.get(key, np.zeros(len(rows), dtype=bool)) | (here & (place == at))
    return found


def _one_of(values: pa.StringArray, names: Iterable[str]) -> Mask:
    found: Mask = np.asarray(pc.is_in(values, pa.array(list(names), pa.string())))
    return found


def _letters(told: Letters) -> NDArray[np.int64]:
    return told.hangul + told.latin + told.others
