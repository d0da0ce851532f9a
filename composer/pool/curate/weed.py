"""Finds rows of all parts that say the same, or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.config_pool import PoolConfig
from composer.pool.curate.parts import Part, read_band, read_signatures
from composer.pool.duplicates import near, same
from composer.pool.duplicates.near import BANDS
from composer.pool.duplicates.same import Places

KINDS = ("id", "row", "prompt", "near")  # in the order in which they are looked for
REASONS = ("duplicate: exact", "duplicate: same row", "duplicate: same prompt", "duplicate: near")  # of each


def ranks(keys: pa.Table, config: PoolConfig) -> Places:
    """(n,) which of two rows is kept: of the source of the highest priority, then named first, then by the ids.

    Rows of one source with one id are told apart by their stratum and mode, and then are the same.
    """
    sources = list(config.sources.values())
    order = np.array([sorted(range(len(sources)), key=lambda at: (-sources[at].priority, at)).index(at)
                      for at in range(len(sources))])  # fmt: skip
    high, low = id_words(keys)
    strata, modes = (_codes(keys, name) for name in ("stratum", "mode"))
    first = np.lexsort((modes, strata, low, high, order[keys["section"].to_numpy()]))
    found = np.empty(len(keys), np.int64)
    found[first] = np.arange(len(keys))
    return found


def duplicates(parts: Sequence[Part], keys: pa.Table, config: PoolConfig, folder: Path) -> tuple[Places, Places]:
    """Which row is kept in the stead of each.

    Args:
        parts: In order.
        keys: (n,) of all of their rows.
        config: Of the pool.
        folder: Where files that are needed on the way may lie.

    Returns:
        (n,) the place of the row that is kept, -1 for those that are kept; and (n,) why, a place in `KINDS`.
    """
    rank = ranks(keys, config)
    kept, why = np.full(len(keys), -1), np.full(len(keys), -1)
    high, low = id_words(keys)
    for kind, told in enumerate(KINDS[:-1]):
        if told == "id":
            takes, key = np.ones(len(keys), dtype=bool), high ^ (low * np.uint64(3))
        else:
            takes, key = keys[f"by_{told}"].to_numpy(), keys[f"{told}_key"].to_numpy()
        places = np.flatnonzero(takes & (kept < 0))
        found = same(key[places], rank[places])
        again = np.flatnonzero(found >= 0)
        kept[places[again]], why[places[again]] = places[found[again]], kind
    asked = keys["by_near"].to_numpy()
    if asked.any():
        sizes = [part.size for part in parts]
        signed = np.repeat([part.near.exists() for part in parts], sizes)
        rows = np.flatnonzero(signed)
        left = kept[rows] < 0
        signatures = read_signatures(parts, folder / "signatures.bin")
        chosen = np.flatnonzero(left)
        bands = (read_band(parts, band)[0][chosen] for band in range(BANDS))
        found = near(bands, _Chosen(signatures, chosen), rank[rows[chosen]], config.duplicates.near)
        again = np.flatnonzero(found >= 0)
        kept[rows[chosen[again]]] = rows[chosen[found[again]]]
        why[rows[chosen[again]]] = len(KINDS) - 1
    return kept, why


class _Chosen:
    """Some rows of an array, taken only when they are asked for."""

    def __init__(self, of: NDArray[np.uint8], rows: Places) -> None:
        self.of, self.rows, self.dtype, self.shape = of, rows, of.dtype, (len(rows), of.shape[1])

    def __getitem__(self, places: Places) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = self.of[self.rows[places]]
        return found


def id_words(keys: pa.Table) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(n,) twice: the two halves of the ids; they sort as the ids do."""
    ids = keys["id"].combine_chunks()
    told = np.frombuffer(ids.buffers()[1], ">u8")[2 * ids.offset : 2 * (ids.offset + len(ids))].reshape(-1, 2)
    return told[:, 0].astype(np.uint64), told[:, 1].astype(np.uint64)


def _codes(keys: pa.Table, name: str) -> NDArray[np.int64]:
    """(n,) the places of values among all of them, sorted."""
    column = keys[name].combine_chunks()
    values = column.dictionary.to_pylist()
    place = {value: at for at, value in enumerate(sorted(set(values)))}
    found: NDArray[np.int64] = np.array([place[value] for value in values], np.int64)[np.asarray(column.indices)]
    return found
