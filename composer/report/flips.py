"""Items that flipped between two arms, with both answers to read; folded until somebody wants them."""

from __future__ import annotations

from pathlib import Path

from composer.findings.flips import Flip, flips
from composer.findings.planned import Benchmark
from composer.findings.results import Results
from composer.report.markup import Markup, join, tag
from composer.report.wording import contrast_name

SHOWN = 3  # items of each direction, a comparison and benchmark
LONGEST = 900  # characters of a text; the middle of a longer one is left out


def flipped(run: Path, results: Results) -> Markup | None:
    """One folded block a comparison; None where nothing flipped."""
    blocks = [block for contrast in results.contrasts() if (block := _contrast(run, results, contrast)) is not None]
    return join(blocks) if blocks else None


def _contrast(run: Path, results: Results, contrast: tuple[str | None, str, str]) -> Markup | None:
    _, arm, against = contrast
    parts = []
    for benchmark in results.benchmarks:
        found = flips(run, results, arm, against, benchmark)
        if found.gained or found.lost:
            parts.append(_benchmark(benchmark, arm, against, found.seeds, found.gained, found.lost))
    if not parts:
        return None
    name = contrast_name(contrast) if contrast[0] is not None else f"{arm} − {against}"
    return tag("details", tag("summary", name), *parts)


def _benchmark(
    benchmark: Benchmark, arm: str, against: str, seeds: int, gained: tuple[Flip, ...], lost: tuple[Flip, ...]
) -> Markup:
    said = f"{len(gained)} items are right with {arm} in more seeds than with {against}, {len(lost)} in fewer."
    return join(
        [
            tag("h3", benchmark.label),
            tag("p", said, class_="note"),
            *(_item(flip, arm, against, seeds) for flip in (*gained[:SHOWN], *lost[:SHOWN])),
        ]
    )


def _item(flip: Flip, arm: str, against: str, seeds: int) -> Markup:
    better, worse, count = (arm, against, flip.gained) if flip.gained > flip.lost else (against, arm, flip.lost)
    head = f"Item {flip.doc_id}: right with {better}, wrong with {worse}, in {count} of {seeds} seeds"
    answers = [("asked", flip.prompt), ("gold", flip.target), (arm, flip.arm), (against, flip.against)]
    return tag(
        "article",
        tag("h4", f"{head}; the answers of seed {flip.seed}"),
        tag(
            "dl",
            *(
                tag("div", tag("dt", name), tag("dd", tag("pre", shortened(content))))
                for name, content in answers
                if content is not None
            ),
        ),
        class_="flip",
    )


def shortened(content: str, longest: int = LONGEST) -> str:
    """`content` with its middle left out where it is longer: how an answer ends matters as much as how it begins."""
    if len(content) <= longest:
        return content
    half = longest // 2
    return f"{content[:half]}\n… {len(content) - 2 * half:,} characters …\n{content[-half:]}"
