"""Rows as parts have them, with all that is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.arrays import hex_ids
from composer.pool.curate.content import asked_and_all, content_ids, sampling_hashes
from composer.pool.curate.modes import NO_THINK, THINK, modes
from composer.pool.curate.parts import Part
from composer.pool.duplicates import band_keys, hashed, normalised, signatures
from composer.pool.filters import Batch
from composer.pool.sources.labels import MODE

Count = Callable[[pa.ListArray], NDArray[np.int64]]  # the tokens of each row's messages
PART_ROWS = 1 << 16
PART_BYTES = 1 << 26


def finished_rows(
    messages: pa.ListArray, categories: pa.StringArray, strata: pa.StringArray, sources: pa.StringArray, count: Count,
    origin: tuple[str, NDArray[np.int64]],
) -> pa.Table:  # fmt: skip
    """Rows (n,) as parts have them, with `raw_id` beside, the id in bytes.

    Args:
        messages: (n,) turns of role and content.
        categories: (n,).
        strata: (n,) in which `{mode}` stands for the row's.
        sources: (n,).
        count: Of tokens.
        origin: The file that they are from, and (n,) the line of each.
    """
    ids, mode = content_ids(messages, categories), modes(messages)
    if np.asarray(pc.match_substring(strata, MODE)).any():
        each = [pc.replace_substring(strata, MODE, name) for name in (THINK, NO_THINK)]
        strata = pc.if_else(pc.equal(mode, THINK), *each)
    batch = Batch(pa.table({"messages": messages}))
    return pa.table(
        {
            "raw_id": ids,
            "id": hex_ids(ids),
            "messages": messages,
            "category": categories,
            "stratum": strata,
            "source": sources,
            "mode": mode,
            "n_tokens": pa.array(count(messages), pa.int32()),
            "n_chars": pa.array(batch.by_row(np.asarray(pc.utf8_length(batch.contents))), pa.int32()),
            "file": pa.repeat(pa.scalar(origin[0], pa.string()), len(messages)),
            "line": pa.array(origin[1], pa.int64()),
        }
    )


def write_part(path: Path, rows: pa.Table, section: int, kinds: Sequence[str], near_of: str) -> Part:
    """Writes a part.

    Args:
        path: Of its rows.
        rows: What `finished_rows` gave.
        section: Their source's place in the pool's config.
        kinds: Of which kinds of duplicate they may not be.
        near_of: Whether nearly the same are told by the `prompt` or by the whole `row`.
    """
    size = len(rows)
    asked, every = asked_and_all(rows["messages"].combine_chunks())
    keys = pa.table(
        {
            "id": rows["raw_id"],
            "hash": pa.array(sampling_hashes(rows["id"].combine_chunks())),
            **{
                name: rows[name].combine_chunks().dictionary_encode()
                for name in ("category", "stratum", "source", "mode")
            },
            "n_tokens": rows["n_tokens"],
            "n_chars": rows["n_chars"],
            "section": pa.array(np.full(size, section), pa.int32()),
            "prompt_key": pa.array(hashed(normalised(asked)) if "prompt" in kinds else np.zeros(size, np.uint64)),
            "row_key": pa.array(hashed(normalised(every)) if "row" in kinds else np.zeros(size, np.uint64)),
            **{f"by_{kind}": pa.array(np.full(size, kind in kinds)) for kind in ("prompt", "row", "near")},
        }
    )
    part = Part(path)
    part.write(
        rows.drop_columns("raw_id"), keys, _near(asked if near_of == "prompt" else every) if "near" in kinds else None
    )
    return part


def _near(texts: pa.StringArray) -> pa.Table:
    told = signatures(texts)
    small = np.ascontiguousarray(told.astype(np.uint8))
    packed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(small.shape[1]), len(texts), [None, pa.py_buffer(small.tobytes())]
    )
    bands = {f"band_{place:02d}": pa.array(of) for place, of in enumerate(band_keys(told))}
    return pa.table({"signature": packed, **bands})
