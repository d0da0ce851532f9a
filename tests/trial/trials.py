"""Small real trials, each in a folder as a study makes it."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from composer.artifacts import write_json
from composer.mixture import compose, export
from composer.pool.open import open_pool
from composer.recipe import load_recipe
from composer.trial.spec import trial_key, trial_spec

SMALL = [
    "pool.rows=4000", "mixture.size=160", "trainer.epochs=1", "trainer.warmup_steps=5", "trainer.keep_checkpoint=true",
    "benchmarks.limit=2", "~benchmarks.of.haerae", "~benchmarks.of.mclm_ko", "~benchmarks.of.daily",
]  # fmt: skip


def make_trial(study: Path, *overrides, seed=0) -> Path:
    """The folder of a trial that has not begun."""
    config = load_recipe("quickstart", [*SMALL, *overrides]).config
    pool = open_pool(config.pool)
    mixture = compose(pool.index, config.mixture)
    export(mixture, pool, study / "mixtures" / "one", config.mixture)
    spec = trial_spec("mixtures/one", mixture.digest, config.model, config.trainer, config.benchmarks, seed)
    folder = study / "trials" / trial_key(spec)
    folder.mkdir(parents=True)
    write_json(folder / "spec.json", spec)
    return folder


def command(folder, processes=1, module="composer.trial"):
    if processes == 1:
        return [sys.executable, "-m", module, str(folder)]
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--nproc-per-node={processes}"]
    return [sys.executable, "-m", "torch.distributed.run", *meeting, "-m", module, str(folder)]


def start(folder, processes=1, **told):
    """Begins, or goes on with, a trial; it ends with the pipe that is its standard input."""
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": here, **told.pop("env", {})}
    words = command(folder, processes, told.pop("module", "composer.trial"))
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(words, env=environment, **pipes, **told)


def finish(folder, processes=1, **told):
    """Runs a trial to its end; gives the exit code and what it said on standard error."""
    with start(folder, processes, **told) as process:
        said = process.stderr.read().decode()
    return process.returncode, said


def weights(folder):
    return (folder / "checkpoint" / "model.safetensors").read_bytes()


def history(folder, part="history"):
    """The steps, or with `losses` the rows, of a trial; clocks left out."""
    files = sorted((folder / part).glob("*.parquet"))
    table = pq.read_table(files)
    return table.drop_columns([name for name in ("seconds",) if name in table.column_names])
