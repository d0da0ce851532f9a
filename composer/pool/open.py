"""Opens the pool that a config names, building it first where it is generated or read from plain files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from composer.artifacts import digest, file_digest
from composer.config import PoolConfig
from composer.errors import NeedsError, PoolError
from composer.mini import rows as mini_rows
from composer.pool.build import Row, build_pool
from composer.pool.store import Pool
from composer.resources import base_model, cache_folder

# Raised when a change to the generators, the tokeniser or the layout makes other pools of the same config.
LAYOUT = 1
MODES = ("think", "no_think")

Progress = Callable[[str, int], None]


def open_pool(config: PoolConfig, progress: Progress | None = None) -> Pool:
    """Opens a pool; a generated pool, or one from plain files, is built in the cache once and kept.

    `progress` is told what is being done and how many rows are done.

    Raises:
        PoolError: The folder or the files are not what they must be.
        NeedsError: The pool lies on the hub and was not built here yet.
    """
    if config.kind == "folder":
        return Pool.open(Path(str(config.path)).expanduser())
    if config.kind == "hub":
        sources = ", ".join(config.sources.values())
        raise NeedsError(
            f"pool={config.name} needs the network: it is built from {sources}. "
            "Reading pools from the hub comes with `composer pool`; until then give a built one with "
            "pool=folder pool.path=…, or rows in files with pool=files pool.path=…"
        )
    return _built_mini(config, progress) if config.kind == "mini" else _built_from_files(config, progress)


def _built_mini(config: PoolConfig, progress: Progress | None) -> Pool:
    base = file_digest(base_model() / "tokenizer.json")
    told = ["mini", LAYOUT, config.rows, config.seed, base, *([config.no_think_share] if config.no_think_share else [])]
    key = digest(told)[:16]
    path = cache_folder() / "pools" / f"{config.name}-{config.rows}-{key}"
    if not (path / "pool.json").exists():
        _build(path, config, _mini(config), progress)
    return Pool.open(path)


def _mini(config: PoolConfig) -> Iterator[Row]:
    """Distinct rows of each category, by the mini pool's shares; those without thinking come on top of `rows`."""
    for category, share in {**mini_rows.SHARES, mini_rows.NO_THINK: config.no_think_share}.items():
        wanted, seen = round(config.rows * share), set[str]()
        stream = mini_rows.draw(category, config.seed)
        # A category may hold fewer distinct rows than asked: then the pool has all that turn up in many draws.
        for stratum, prompt, response, mode in itertools.islice(stream, 20 * wanted + 1000):
            row = Row((("user", prompt), ("assistant", response)), category, stratum, f"mini/{category}", mode)
            if row.id not in seen:
                if len(seen) == wanted:
                    break
                seen.add(row.id)
                yield row


def _built_from_files(config: PoolConfig, progress: Progress | None) -> Pool:
    given = Path(str(config.path)).expanduser()
    files = sorted(f for f in given.iterdir() if f.suffix in {".parquet", ".jsonl"}) if given.is_dir() else [given]
    readable = [file for file in files if file.is_file() and file.suffix in {".parquet", ".jsonl"}]
    if not readable:
        raise PoolError(f"pool.path is {given}: it must be a .parquet or .jsonl file, or a folder that holds some")
    key = digest(["files", LAYOUT, config.tokenizer, [file_digest(file) for file in readable]])[:16]
    path = cache_folder() / "pools" / f"{config.name}-{key}"
    if not (path / "pool.json").exists():
        _build(path, config, itertools.chain.from_iterable(_read(file) for file in readable), progress)
    return Pool.open(path)


def _read(file: Path) -> Iterator[Row]:
    """The rows of one file: `messages` and `category`, and if they are there `stratum`, `source` and `mode`."""
    for number, row in enumerate(_records(file), 1):
        where = f"{file.name}, row {number}"
        messages, category = row.get("messages"), row.get("category")
        if not isinstance(category, str) or not category:
            raise PoolError(f"{where}: category is {category!r}; it must be a name")
        if not isinstance(messages, list) or not messages:
            raise PoolError(f"{where}: messages is {messages!r}; it must be a list of turns with role and content")
        for turn in messages:
            if not isinstance(turn, dict) or not all(isinstance(turn.get(name), str) for name in ("role", "content")):
                raise PoolError(f"{where}: a turn is {turn!r}; it must have role and content, both text")
        thinks = any("<think>" in turn["content"] for turn in messages)
        mode = row.get("mode") or ("think" if thinks else "no_think")
        if mode not in MODES:
            raise PoolError(f"{where}: mode is {mode!r}; it must be one of {', '.join(MODES)}")
        turns = tuple((turn["role"], turn["content"]) for turn in messages)
        yield Row(turns, category, str(row.get("stratum") or "all"), str(row.get("source") or file.stem), mode)


def _records(file: Path) -> Iterator[dict[str, Any]]:
    import json

    if file.suffix == ".parquet":
        try:
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(2048):
                    yield from batch.to_pylist()
        except pa.ArrowInvalid as error:
            raise PoolError(f"{file} is not a Parquet file: {error}") from error
        return
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise PoolError(f"{file.name}, row {number}: not JSON ({error})") from error
                if not isinstance(record, dict):
                    raise PoolError(f"{file.name}, row {number}: {line.strip()[:60]} is not an object")
                yield record


def _build(path: Path, config: PoolConfig, rows: Iterator[Row], progress: Progress | None) -> None:
    told = (lambda done: progress(f"building pool {config.name}", done)) if progress else None
    build_pool(path, config.name, rows, _counter(config.tokenizer), told)


def _counter(tokenizer: str) -> Callable[[Sequence[Sequence[dict[str, str]]]], list[int]]:
    """Counts the tokens of conversations as the model will read them, chat template and all."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(base_model() if tokenizer == "mini" else tokenizer)

    def count(conversations: Sequence[Sequence[dict[str, str]]]) -> list[int]:
        encoded = loaded.apply_chat_template([list(turns) for turns in conversations], tokenize=True, return_dict=True)
        return [len(ids) for ids in encoded["input_ids"]]

    return count
