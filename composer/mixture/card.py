"""The dataset card of an exported mixture: what is in it, and how to load it and compose it again."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

CARD = """\
---
{header}---

# A mixture of {rows:,} rows from the pool `{pool}`

{rows:,} rows, {tokens:,} tokens; {repeated:,} rows are copies of another one. Composed by composer {composer}.

| category | asked | rows | share | tokens | in the pool |
|---|---:|---:|---:|---:|---:|
{table}

`manifest.json` has the same by stratum. Columns: `id`, `messages` (chat turns of `role` and `content`), `category`,
`stratum`, `source`, `mode` (`think` or `no_think`), `n_tokens` (under the pool's tokeniser). The rows are shuffled.

## Load

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
```

## Compose it again

With the pool `{pool}` (digest `{pool_digest}`) and composer {composer}, a recipe with this section gives the same
bytes by `composer compose RECIPE pool=…`; the ids in their order hash to `{digest}`.

```yaml
{mixture}```
"""


KEYS = ("by", "size", "quotas", "seed", "edits", "shortage", "max_repeats", "proxy_of")


def card(manifest: dict[str, Any]) -> str:
    """The README.md of the mixture that `manifest` describes, with the front matter that the Hugging Face hub reads."""
    header = {
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
        "task_categories": ["text-generation"],
    }
    keys = [key for key in KEYS if key in manifest]
    table = [
        _line(category, of["asked"], of["rows"], of["share"], of["tokens"], of["available"])
        for category, of in manifest["categories"].items()
    ]
    total = {name: sum(of[name] for of in manifest["categories"].values()) for name in ("asked", "available")}
    table.append(_line("total", total["asked"], manifest["rows"], 1.0, manifest["tokens"], total["available"]))
    return CARD.format(
        header=_yaml(header),
        table="\n".join(table),
        mixture=_yaml({"mixture": {key: manifest[key] for key in keys}}),
        pool=manifest["pool"]["name"],
        pool_digest=manifest["pool"]["digest"],
        **{name: manifest[name] for name in ("rows", "tokens", "repeated", "composer", "digest")},
    )


def _line(name: str, asked: int, rows: int, share: float, tokens: int, available: int) -> str:
    return f"| {name} | {asked:,} | {rows:,} | {share:.2%} | {tokens:,} | {available:,} |"


def _yaml(value: dict[str, Any]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(value))
