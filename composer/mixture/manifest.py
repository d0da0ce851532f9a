"""What a mixture is, as JSON: enough to know it, to compare it and to compose it again."""

from __future__ import annotations

from typing import Any

from composer import __version__
from composer.config import EditConfig, MixtureConfig
from composer.mixture.compose import Mixture, Tally


def manifest(mixture: Mixture, pool_name: str, pool_digest: str, config: MixtureConfig) -> dict[str, Any]:
    """The manifest of `mixture`, which `config` composed from the pool of that name and digest.

    Its schema, version 1:

        version      1
        composer     the version of composer
        by           share | rows | tokens
        size         rows that were declared; null unless `by` is share
        seed         the mixture's seed
        shortage     error | repeat | redistribute
        max_repeats  how often a row may stand in the mixture under repeat
        proxy_of     rows of the mixture whose repetition this one matches; absent where it is of none
        quotas       {category: quota}, sorted by name: shares, rows or tokens as `by` says
        edits        {name: {operation: value}} in their order; set and share also say rest
        rows         rows of the mixture, copies counted
        tokens       their tokens under the pool's tokeniser
        repeated     how many of the rows are copies of another one
        pool         {name, digest}
        digest       SHA-256 over the ids in export order, each followed by a newline
        categories   {category: {asked, rows, share, tokens, available, strata}}, sorted by name, where
                     strata is {stratum: {asked, rows, tokens, available}};
                     asked is rows before the shortage policy, rows is after it, share is rows over the mixture's
                     rows, available is rows of the pool
    """
    return {
        "version": 1,
        "composer": __version__,
        "by": config.by,
        "size": config.size,
        "seed": config.seed,
        "shortage": config.shortage,
        "max_repeats": config.max_repeats,
        **({} if config.proxy_of is None else {"proxy_of": config.proxy_of}),
        "quotas": {
            category: float(quota) if config.by == "share" else int(quota)
            for category, quota in sorted(config.quotas.items())
        },
        "edits": {name: _edit(edit) for name, edit in config.edits.items()},
        "rows": len(mixture),
        "tokens": mixture.tokens,
        "repeated": int((mixture.copies > 0).sum()),
        "pool": {"name": pool_name, "digest": pool_digest},
        "digest": mixture.digest,
        "categories": {
            category: {
                "asked": tally.asked,
                "rows": tally.rows,
                "share": tally.rows / len(mixture),
                "tokens": tally.tokens,
                "available": tally.available,
                "strata": {stratum: _tally(part) for stratum, part in tally.strata.items()},
            }
            for category, tally in mixture.categories.items()
        },
    }


def _edit(edit: EditConfig) -> dict[str, Any]:
    said = {edit.operation: getattr(edit, edit.operation)}
    return {**said, "rest": edit.rest} if edit.operation in {"set", "share"} else said


def _tally(tally: Tally) -> dict[str, int]:
    return {"asked": tally.asked, "rows": tally.rows, "tokens": tally.tokens, "available": tally.available}
