"""Which arms are drawn where a search has tried many: the declared ones and the best few proposals."""

from __future__ import annotations

import math
from dataclasses import replace

from composer.findings.results import Results
from composer.findings.search import SearchFinding, Tried, beats

MANY = 12  # arms that every figure and table can hold
BEST = 5  # proposals that are drawn where there are more
FRONT = 8  # of a Pareto front, likewise


def by_merit(finding: SearchFinding) -> list[Tried]:
    """The arms, the best first: those that the fewest beat by all objectives; at the end those that are not ranked."""
    ranked = [one.values for one in finding.arms if one.ranked]

    def place(one: Tried) -> tuple[bool, int, float]:
        beaten = sum(beats(other, one.values) for other in ranked) if one.ranked else 0
        return not one.ranked, beaten, -one.values[0] if one.values else math.inf

    return sorted(finding.arms, key=place)


def focused(results: Results) -> Results:
    """The results of the declared arms and the best proposals; all of them where they are few."""
    if results.search is None or len(results.arms) <= MANY:
        return results
    proposed = [one for one in by_merit(results.search) if one.proposed]
    several = len(results.search.objectives) > 1
    kept = min(sum(one.on_front for one in proposed), FRONT) if several else BEST
    left = {one.arm for one in proposed[kept:]}
    return replace(
        results,
        arms=tuple(one for one in results.arms if one.name not in left),
        trials=tuple(one for one in results.trials if one.arm not in left),
        scores=tuple(one for one in results.scores if one.arm not in left),
        gains=tuple(one for one in results.gains if not left & {one.arm, one.against}),
        cost=tuple(one for one in results.cost if one.arm not in left),
        events=tuple(one for one in results.events if one.arm not in left),
    )


def left_out(results: Results, shown: Results) -> str:
    """Which arms a figure shows; empty where it shows all."""
    if shown is results:
        return ""
    shown_names = {one.name for one in shown.arms}
    proposed = [one.arm in shown_names for one in results.search.arms if one.proposed] if results.search else []
    kept = sum(proposed)
    return f" Of the search’s {len(proposed)} proposals, the best {kept} {'is' if kept == 1 else 'are'} shown."
