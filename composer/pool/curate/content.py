"""What a row is known by: its id, and the keys of what repeats it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.arrays import ID_BYTES
from composer.pool.filters.batch import Batch


def content_ids(messages: pa.ListArray, categories: pa.StringArray) -> pa.FixedSizeBinaryArray:
    """(n,) the hash of each row's content and category."""
    batch = Batch(pa.table({"messages": messages}))
    turns = list(zip(batch.roles.to_pylist(), batch.contents.to_pylist(), strict=True))
    ends = np.cumsum(np.bincount(batch.row_of, minlength=len(messages))).tolist()
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    blake, told, start = hashlib.blake2b, list[bytes](), 0
    for category, end in zip(categories.to_pylist(), ends, strict=True):
        told.append(blake(encode([category, turns[start:end]]).encode(), digest_size=ID_BYTES).digest())
        start = end
    return pa.array(told, pa.binary(ID_BYTES))


def sampling_hashes(ids: pa.StringArray) -> NDArray[np.uint64]:
    """(n,) `composer.pool.index.row_hash` of ids in hexadecimal digits."""
    blake = hashlib.blake2b
    told = b"".join(blake(one, digest_size=8).digest() for one in ids.cast(pa.binary()).to_pylist())
    return np.frombuffer(told, dtype=">u8").astype(np.uint64)


def asked_and_all(messages: pa.ListArray) -> tuple[pa.StringArray, pa.StringArray]:
    """(n,) all that stands before the response, and all turns; the turns by lines."""
    batch = Batch(pa.table({"messages": messages}))
    is_response = np.zeros(len(batch.contents), dtype=bool)
    is_response[batch.response_place[batch.response_place >= 0]] = True
    rest = pc.if_else(pa.array(is_response), "", batch.contents)
    ends = pa.array(np.concatenate([[0], np.cumsum(np.bincount(batch.row_of, minlength=len(messages)))]), pa.int32())
    return tuple(pc.binary_join(pa.ListArray.from_arrays(ends, texts), "\n") for texts in (rest, batch.contents))
