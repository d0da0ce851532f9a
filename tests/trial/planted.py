"""Trials of a Korean mixture that read rows in English at steps 89 to 91, as happened to the Ko-R1-3 team."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from findings.traced_run import english, is_planted, make_pool, mixture_of, traces, write_run
from transformers import AutoModelForCausalLM, AutoTokenizer

from composer.mini import rows as mini_rows
from composer.pool.hashes import row_hash
from composer.pool.store import MESSAGES
from composer.trial.chat import READ, tokenise
from composer.trial.order import batches

STEPS, BATCH, ROWS, HELD_OUT = range(89, 92), 4, 600, 200
SETTINGS = [
    f"trainer.batch_size={BATCH}", "trainer.epochs=1", "trainer.packing=best_fit", "trainer.keep_checkpoint=true",
    "benchmarks.limit=2", "~benchmarks.of.haerae", "~benchmarks.of.mclm_ko", "~benchmarks.of.daily",
]  # fmt: skip


def clean_trials(run, seeds):
    """The folders of trials that have not begun, of the same mixture without rows in English."""
    pool = make_pool(run.parent / f"{run.name}-pool", [], 0)
    return write_run(run, pool, seeds, *SETTINGS, quotas={"openthought": ROWS})


def planted_trial(run, *overrides, texts="mini", korean=False):
    """The folder of a trial that has not begun; `korean`: it reads rows like the others where those in English were.

    Rows in English are as long as the others, of the same category, strata and source; what places them is their id,
    which orders rows, and which they swap with the rows that would have been read there.
    """
    told = traces() if texts == "real" else [english(number) for number in range(2000)]
    count = BATCH * len(STEPS)
    pool = make_pool(run.parent / f"{run.name}-pool", told, count)
    [folder] = write_run(run, pool, 1, *SETTINGS, *overrides, quotas={"openthought": ROWS + count})
    rows = mixture_of(folder)
    ids, english_ones = rows["id"].to_pylist(), np.flatnonzero(is_planted(rows))
    hashes = np.array([row_hash(name) for name in ids], np.uint64)
    order = list(batches(hashes, None, BATCH, 1, 0))
    there = [place for step in STEPS for place in order[step - 1]]
    for one, other in zip(np.setdiff1d(english_ones, there), np.setdiff1d(there, english_ones), strict=True):
        ids[one], ids[other] = ids[other], ids[one]
    if korean:
        messages = rows["messages"].to_pylist()
        for place, one in zip(english_ones, further(HELD_OUT, HELD_OUT + count), strict=True):
            messages[place] = one
        rows = rows.set_column(rows.column_names.index("messages"), "messages", pa.array(messages, MESSAGES))
    [file] = (run / "mixtures").glob("*/data/*.parquet")
    pq.write_table(rows.set_column(rows.column_names.index("id"), "id", pa.array(ids)), file)
    return folder


def further(first, last):
    """Rows that are in no pool, as conversations."""
    drawn = {}
    for _, prompt, response, _ in mini_rows.draw("openthought", 0):
        drawn.setdefault(prompt, response)
        if len(drawn) == ROWS + last:
            break
    told = list(drawn.items())[ROWS + first :]
    return [[{"role": "user", "content": prompt}, {"role": "assistant", "content": text}] for prompt, text in told]


def held_out_loss(folder):
    """The mean loss of a trial's weights on the tokens of rows that it has not read."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")
    model = AutoModelForCausalLM.from_pretrained(folder / "checkpoint")
    total = count = 0
    with torch.inference_mode():
        for one in tokenise(tokenizer, further(0, HELD_OUT), [""] * HELD_OUT):
            ids = torch.from_numpy(one.ids.astype(np.int64))[None]
            wanted = torch.from_numpy(one.kinds[1:] != READ)
            losses = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
            total, count = total + float(losses[wanted].sum()), count + int(wanted.sum())
    return total / count
