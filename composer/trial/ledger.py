"""The ledger: step → lines → examples → rows, known before anything runs, and the same for any number of processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.config_trainer import TrainerConfig
from composer.pool.hashes import row_hash
from composer.trial.order import batches
from composer.trial.packing import best_fit
from composer.trial.tokens import Tokens

LEDGER_SCHEMA = pa.schema(
    [
        ("step", pa.int32()),  # from 1, as optimizers count
        ("block", pa.int32()),  # the line within the step, from 0
        ("place", pa.int32()),  # the row's place in the mixture, from 0
        ("id", pa.string()),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("stratum", pa.dictionary(pa.int32(), pa.string())),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("tokens", pa.int32()),
        ("learned", pa.int32()),  # tokens with a loss
    ]
)


@dataclass(frozen=True, eq=False)
class Ledger:
    """What every optimizer step reads.

    Attributes:
        examples: (n,) int64, places in a mixture's `Tokens`, in the order of steps, lines and documents.
        lines: (n_lines + 1,) int64, where in `examples` each line begins, and where the last ends.
        steps: (n_steps + 1,) int64, where in the lines each step begins, and where the last ends.
        packed: whether a line holds several documents, or one, which is padded.
    """

    examples: NDArray[np.int64]
    lines: NDArray[np.int64]
    steps: NDArray[np.int64]
    packed: bool

    def __len__(self) -> int:
        """The steps."""
        return len(self.steps) - 1

    def read(self, step: int) -> list[NDArray[np.int64]]:
        """The lines of a step, counted from 1: places in `Tokens`."""
        first, last = self.steps[step - 1 : step + 1]
        return [self.examples[self.lines[line] : self.lines[line + 1]] for line in range(first, last)]

    def rows(self, tokens: Tokens, table: pa.Table) -> pa.Table:
        """One line of `LEDGER_SCHEMA` for every example of every step.

        Args:
            tokens: What the ledger was made of.
            table: The mixture, with the columns `id`, `category`, `stratum` and `source`.
        """
        line = np.repeat(np.arange(len(self.lines) - 1), np.diff(self.lines))
        step = np.searchsorted(self.steps, line, side="right")
        places = pa.array(tokens.places[self.examples])
        columns: dict[str, pa.Array] = {
            "step": pa.array(step, pa.int32()),
            "block": pa.array(line - self.steps[step - 1], pa.int32()),
            "place": places.cast(pa.int32()),
            "tokens": pa.array(tokens.lengths[self.examples], pa.int32()),
            "learned": pa.array(tokens.learned[self.examples], pa.int32()),
            **{name: table[name].combine_chunks().take(places) for name in ("id", "category", "stratum", "source")},
        }
        return pa.table(columns).select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)


def make_ledger(tokens: Tokens, ids: list[str], config: TrainerConfig, seed: int, gap: int | None) -> Ledger:
    """The ledger of a trial.

    Args:
        tokens: The mixture's examples.
        ids: The ids of the mixture's rows.
        config: Says how many rows are a step, and after how many epochs or tokens training ends.
        seed: The trial's.
        gap: Tokens that the model needs between two documents of a line; None: it cannot read packed lines.
    """
    packed = gap is not None and config.packing == "best_fit"
    lengths = tokens.lengths.tolist()
    hashes = np.array([row_hash(ids[place]) for place in tokens.places.tolist()], np.uint64)
    epochs = config.epochs if config.tokens is None else -(-config.tokens // sum(lengths))
    examples, lines, steps, read = list[int](), [0], [0], 0
    for batch in batches(hashes, None if packed else lengths, config.batch_size, epochs, seed):
        step = best_fit([lengths[one] for one in batch], config.max_length, gap or 0) if packed else None
        for line in step or [[place] for place in range(len(batch))]:
            examples += [batch[place] for place in line]
            lines.append(len(examples))
        steps.append(len(lines) - 1)
        read += sum(lengths[one] for one in batch)
        if config.tokens is not None and read >= config.tokens:
            break
    return Ledger(np.array(examples, np.int64), np.array(lines, np.int64), np.array(steps, np.int64), packed)
