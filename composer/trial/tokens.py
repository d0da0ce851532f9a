"""A mixture as tokens: made once for a tokeniser, kept beside the study, read by every trial and process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from composer.artifacts import digest, new_folder, read_json, write_json
from composer.errors import TrialError
from composer.trial.chat import Example, check_template, tokenise

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

LAYOUT = 1  # raised when the same rows give other tokens
CHUNK = 512  # rows tokenised at once


@dataclass(frozen=True, eq=False)
class Tokens:
    """Examples, one after the other. A row is one of them, or none, or, where long ones are split, several.

    Attributes:
        ids: (n_tokens,) int32.
        kinds: (n_tokens,) uint8, `chat.READ`, `ANSWER` or `THINKING`.
        starts: (n_examples + 1,) int64, where each example begins, and where the last ends.
        places: (n_examples,) int64, the place of each example's row in the mixture, ascending.
        too_long: rows of the mixture that were longer than allowed; what became of them is `trainer.long_rows`.
        left_out: rows of the mixture that are in no example.
    """

    ids: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    too_long: int = 0
    left_out: int = 0

    def __len__(self) -> int:
        """The examples."""
        return len(self.places)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n_examples,) tokens of each."""
        return np.diff(self.starts)

    @property
    def learned(self) -> NDArray[np.int64]:
        """(n_examples,) tokens of each that have a loss; the first of an example has none."""
        counted = np.concatenate([[0], np.cumsum(self.kinds > 0, dtype=np.int64)])
        firsts = self.kinds[self.starts[:-1]] > 0
        return np.asarray(np.diff(counted[self.starts]) - firsts, dtype=np.int64)


def tokens_of(
    table: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length: int, long_rows: str, kept: Path | None = None
) -> Tokens:
    """The tokens of a mixture's rows, from `kept` where they were made before.

    Args:
        table: The mixture, with the columns `id` and `messages`.
        tokenizer: Has a chat template.
        max_length: tokens of an example at most.
        long_rows: What becomes of a longer row: `error`, `reject`, `truncate` or `split`.
        kept: A folder of such tokens, by what they are made of; memory holds only what is read of them.

    Raises:
        TrialError: The template cannot be used, a row is too long (`error`), or no row is left.
    """
    check_template(tokenizer)
    if kept is None:
        return _joined(_cut(_rows(table, tokenizer), max_length, long_rows), table.num_rows, max_length)
    folder = kept / tokens_key(table, tokenizer, max_length, long_rows)
    if not (folder / "counts.json").exists():
        made = _joined(_cut(_rows(table, tokenizer), max_length, long_rows), table.num_rows, max_length)
        with new_folder(folder) as beside:
            for name in _ARRAYS:
                np.save(beside / f"{name}.npy", getattr(made, name))
            write_json(beside / "counts.json", {"too_long": made.too_long, "left_out": made.left_out})
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    return Tokens(**arrays, **read_json(folder / "counts.json"))


def tokens_key(table: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length: int, long_rows: str) -> str:
    """16 hexadecimal digits of all that the tokens of a mixture depend on."""
    said = tokenizer.backend_tokenizer.to_str()
    rows = digest(table["id"].to_pylist())
    return digest([LAYOUT, rows, said, tokenizer.get_chat_template(), max_length, long_rows])[:16]


_ARRAYS = [field.name for field in fields(Tokens) if field.name not in {"too_long", "left_out"}]


def _rows(table: pa.Table, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, Example]]:
    for start in range(0, table.num_rows, CHUNK):
        rows: Any = table.slice(start, CHUNK)
        ids = rows["id"].to_pylist()
        yield from zip(ids, tokenise(tokenizer, rows["messages"].to_pylist(), ids), strict=True)


def _cut(rows: Iterable[tuple[str, Example]], most: int, long_rows: str) -> Iterator[tuple[list[Example], bool]]:
    """The examples of each row, and whether it was too long."""
    for row_id, whole in rows:
        if len(whole) <= most:
            yield [whole], False
            continue
        if long_rows == "error":
            raise TrialError(
                f"row {row_id} is {len(whole)} tokens long and trainer.max_length is {most}: "
                "raise it, keep such rows out of the pool, or set trainer.long_rows to reject, truncate or split"
            )
        ends = {"reject": 0, "truncate": most, "split": len(whole)}[long_rows]
        pieces = [Example(whole.ids[at : at + most], whole.kinds[at : at + most]) for at in range(0, ends, most)]
        yield [piece for piece in pieces if piece.kinds[1:].any()], True


def _joined(rows: Iterable[tuple[list[Example], bool]], size: int, most: int) -> Tokens:
    examples, places, too_long = list[Example](), list[int](), 0
    for place, (pieces, long) in enumerate(rows):
        examples += pieces
        places += [place] * len(pieces)
        too_long += long
    if not examples:
        raise TrialError(
            f"all {size} rows of the mixture are longer than trainer.max_length, {most} tokens, or have nothing to "
            "learn from within it: raise it"
        )
    return Tokens(
        ids=np.concatenate([example.ids for example in examples]),
        kinds=np.concatenate([example.kinds for example in examples]),
        starts=np.concatenate([[0], np.cumsum([len(example) for example in examples])]).astype(np.int64),
        places=np.array(places, np.int64),
        too_long=too_long,
        left_out=size - len(set(places)),
    )
