"""NumPy's arrays and packed ids as columns of Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ID_BYTES = 16
LARGE = 2**31 - 1  # bytes of text that a column with short offsets holds
_DIGITS = np.array([f"{byte:02x}".encode() for byte in range(256)]).view(np.uint16)  # two of each byte


# Arrow's own conversions import pandas first, which takes as long as to compose a mixture.
def column(values: NDArray[Any]) -> pa.Array:
    """(n,) numbers as a column, in the same memory."""
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def texts(values: Sequence[str]) -> pa.StringArray:
    """(n,) short texts as a column."""
    raw = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(raw), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))])


def numbers(of: pa.Array) -> NDArray[Any]:
    """(n,) the numbers of a column without nulls, in the same memory."""
    return np.frombuffer(of.buffers()[1], of.type.to_pandas_dtype())[of.offset : of.offset + len(of)]


def hex_ids(ids: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """(n,) ids as a pool tells them, in hexadecimal digits."""
    raw = np.frombuffer(ids.buffers()[1], np.uint8)[ID_BYTES * ids.offset : ID_BYTES * (ids.offset + len(ids))]
    digits = _DIGITS[raw]
    ends = np.arange(len(ids) + 1, dtype=np.int64) * 2 * ID_BYTES
    kind = pa.large_string() if ends[-1] > LARGE else pa.string()
    offsets = ends if ends[-1] > LARGE else ends.astype(np.int32)
    return pa.Array.from_buffers(kind, len(ids), [None, pa.py_buffer(offsets), pa.py_buffer(digits)])
