"""What a search has found, in sentences: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.config_search import COST
from composer.findings.results import Results
from composer.findings.search import Best, CheapFinding, Objective, SearchFinding, Tried
from composer.report.wording import MINUS, plain, short_count, signed

NAMED = 6  # arms that are named in a sentence; of more, their number is told


def value_said(objective: Objective, value: float) -> str:
    """A value of an objective: points of accuracy, or tokens."""
    return short_count(-value) if objective.name == COST else plain(value, "accuracy")


def told(finding: SearchFinding, one: Tried, place: int) -> str:
    """An arm's mean of an objective with its standard error; a dash without a finished seed."""
    if not one.values:
        return "–"
    objective, se = finding.objectives[place], one.se[place]
    value = value_said(objective, one.values[place])
    return value if se is None or objective.name == COST else f"{value} ± {plain(se, 'accuracy')}"


def setting_said(value: Any) -> str:
    """A trainer setting's value, to three digits."""
    return f"{value:.3g}".replace("-", MINUS) if isinstance(value, float) else str(value)


def made_said(finding: SearchFinding) -> str:
    """Who proposed what, and what became of it."""
    declared = len(finding.arms) - finding.made
    made = f"{finding.made} of {finding.asked}" if finding.made < finding.asked else f"{finding.made}"
    how = f"proposed by the sampler “{finding.sampler}”"
    if finding.sampler == "random":
        how = "drawn at random"
    elif finding.startup:
        how += f", the first {min(finding.startup, finding.asked)} drawn at random"
    beside = f", beside {declared} declared arm{'s' * (declared != 1)}" if declared else ""
    ended = [f"{len(of)} {word}" for of, word in ((finding.failed, "failed"), (finding.unfinished, "unfinished")) if of]
    return f"{made} mixtures {how}{beside}{': ' if ended else ''}{', '.join(ended)}."


def found_said(results: Results) -> list[str]:
    """What was found, and how sure it is, a sentence or two each."""
    finding = results.search
    assert finding is not None
    noisy = [
        f"Too noisy to search by, {one.label}: {one.signal.reason}."
        for one in finding.objectives
        if one.signal is not None and one.signal.verdict == "too noisy"
    ]
    if finding.best is not None:
        told_ = _best(finding, finding.best, f"{100 * results.rules.level:.3g} %")
        return [*told_, *noisy, *map(_cheap_said, finding.cheap)]
    if len(finding.objectives) > 1 and (front := [one.arm for one in finding.arms if one.on_front]):
        what = ", ".join(one.label for one in finding.objectives)
        said = (
            f"{_named(front)} {'are' if len(front) > 1 else 'is'} on the Pareto front of {what}: no arm is at least as "
            "good by all of them and better by one. The front is of the means: luck can put an arm on it, or keep one "
            "off."
        )
        return [said, *noisy]
    return ["No arm has finished."]


def _best(finding: SearchFinding, best: Best, level: str) -> list[str]:
    objective = finding.objectives[0]
    arms = {one.arm: one for one in finding.arms}
    ranked = sum(one.ranked for one in finding.arms)
    said = f"{best.arm} has the highest {objective.label}, {told(finding, arms[best.arm], 0)} points"
    said += " (± standard error)." if arms[best.arm].se[0] is not None else "."
    if not arms[best.arm].proposed:
        said += " The recipe declares it: no proposal has a higher mean."
    if ranked == 1:
        return [said]
    for one in best.declared:
        said += f" It is {signed(one.gain, 'accuracy')} points over {one.arm}"
        if one.low is None:
            said += "."
        elif one.low > 0:
            said += f", at least {signed(one.low, 'accuracy')} with {level} confidence."
        else:
            said += ", which can be the luck of having picked the highest."
    if best.margin is None or best.bias is None:
        return [said, f"How sure that is cannot be told: {best.reason}. {_upward(ranked)}."]
    others = [arm for arm in best.among if arm != best.arm]
    margin = plain(best.margin, "accuracy")
    if others:
        sure = f"{_named(others)} may be the best of all as well: within {margin} points, seeds cannot tell ({level})."
    else:
        sure = f"Every other arm is ruled out as the best of all: none is within {margin} points of it ({level})."
    return [said, sure, f"{_upward(ranked)}, here by up to {plain(best.bias, 'accuracy')} points."]


def _cheap_said(cheap: CheapFinding) -> str:
    """How far cheap runs were believed."""
    by = ", ".join(f"{of:.2f} on {name}" for name, of in cheap.trust.items())
    then = "the sampler learned from them" if cheap.useful else "so they were left alone"
    return (
        f"Runs at the fidelity {cheap.name} order the {cheap.paired} mixtures that were trained both ways with a rank "
        f"correlation, less a standard error, of {by}: {then}."
    )


def _upward(ranked: int) -> str:
    return f"The highest of {ranked} noisy means is partly the luckiest, so on average it is too high"


def _named(arms: Sequence[str]) -> str:
    if len(arms) > NAMED:
        return f"{', '.join(arms[: NAMED - 1])} and {len(arms) - NAMED + 1} more"
    return " and ".join(one for one in (", ".join(arms[:-1]), arms[-1]) if one)
