"""The claims that a recipe puts to the test, and what the findings answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from composer.findings.designs import DoseFinding, ScalingFinding
from composer.findings.gains import Contrast
from composer.findings.measured import Gain

Answered = Literal["confirmed", "contradicted", "cannot tell"]
Expect = Literal["better", "worse", "equivalent", "scales", "threshold"]
OPEN: Answered = "cannot tell"
NOT_MEASURED = "nothing was measured that answers it"


@dataclass(frozen=True)
class Evidence:
    """What one benchmark says of a claim.

    Attributes:
        benchmark: The benchmark's name.
        verdict: `confirmed`, `contradicted`, or `cannot tell`.
        estimate: A gain, a threshold in rows, or an exponent; null where there is none.
        low: Lower end of its interval; null where it has none.
        high: Its upper end; null where it has none.
        p: The p-value behind the verdict, corrected over its family; null where there is none.
        found: The finding's own verdict, or why there is none.
    """

    benchmark: str
    verdict: Answered
    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    found: str


@dataclass(frozen=True)
class Answer:
    """A claim and what the study answers.

    Attributes:
        claim: Its key in the recipe.
        label: Its name for people.
        says: What was said, with its figures.
        source: Who said it.
        expect: What would confirm it: a gain that is `better`, `worse` or `equivalent`; a score that `scales`; a
            `threshold` at or below `dose`.
        arm: The arm whose gain answers it; null where a design does.
        against: The arm it is compared with; null likewise.
        design: The design that answers it; null where a gain does.
        dose: Rows that are claimed to be enough; null where no threshold is claimed.
        margin: The margin of equivalence; null where none is claimed.
        verdict: `confirmed` where every benchmark confirms it, `contradicted` where any contradicts it, else
            `cannot tell`.
        evidence: One a benchmark.
    """

    claim: str
    label: str
    says: str
    source: str
    expect: Expect
    arm: str | None
    against: str | None
    design: str | None
    dose: int | None
    margin: float | None
    verdict: Answered
    evidence: tuple[Evidence, ...]


def claimed_contrasts(plan: Mapping[str, Any], declared: Sequence[Contrast]) -> list[tuple[Contrast, float | None]]:
    """The pairs of arms that claims are about and that are not compared yet, each with its margin of equivalence."""
    known = {(arm, against, plan["findings"]["margin"]) for _, arm, against in declared}
    added: list[tuple[Contrast, float | None]] = []
    for name, claim in plan["claims"].items():
        if claim["expect"] not in ("better", "worse", "equivalent"):
            continue
        arm, against, margin = _sides(claim, plan)
        if against is not None and (arm, against, margin) not in known:
            known.add((arm, against, margin))
            added.append(((name, arm, against), margin))
    return added


def answers(
    plan: Mapping[str, Any],
    gains: Sequence[Gain],
    doses: Sequence[DoseFinding],
    curves: Sequence[ScalingFinding],
) -> tuple[Answer, ...]:
    """Every claim of the plan with its verdict, by accuracy."""
    found = []
    for name, claim in plan["claims"].items():
        arm, against, margin = _sides(claim, plan)
        evidence = tuple(
            _evidence(claim, benchmark, arm, against, margin, gains, doses, curves) for benchmark in claim["benchmarks"]
        )
        by_gain = claim["expect"] not in ("scales", "threshold")
        found.append(
            Answer(
                claim=name,
                label=claim["label"] or name,
                says=claim["says"],
                source=claim["source"],
                expect=claim["expect"],
                arm=arm if by_gain else None,
                against=against if by_gain else None,
                design=None if by_gain else claim["design"],
                dose=claim["dose"] if claim["expect"] == "threshold" else None,
                margin=margin if claim["expect"] == "equivalent" else None,
                verdict=_together([one.verdict for one in evidence]),
                evidence=evidence,
            )
        )
    return tuple(found)


def _sides(claim: Mapping[str, Any], plan: Mapping[str, Any]) -> tuple[str, str | None, float | None]:
    margin = plan["findings"]["margin"] if claim["margin"] is None else claim["margin"]
    return claim["arm"], claim["against"] or plan["baseline"], margin


def _evidence(
    claim: Mapping[str, Any],
    benchmark: str,
    arm: str | None,
    against: str | None,
    margin: float | None,
    gains: Sequence[Gain],
    doses: Sequence[DoseFinding],
    curves: Sequence[ScalingFinding],
) -> Evidence:
    def about(one: Gain | DoseFinding | ScalingFinding) -> bool:
        return (one.benchmark, one.kind) == (benchmark, "accuracy")

    found: Iterator[Evidence]
    if claim["expect"] == "threshold":
        found = (_of_dose(one, claim["dose"]) for one in doses if about(one) and one.design == claim["design"])
    elif claim["expect"] == "scales":
        found = (_of_curve(one) for one in curves if about(one) and one.design == claim["design"])
    else:
        wanted = (arm, against, margin)
        found = (
            _of_gain(one, claim["expect"])
            for one in gains
            if about(one) and (one.arm, one.against, one.margin) == wanted
        )
    return next(found, Evidence(benchmark, OPEN, None, None, None, None, NOT_MEASURED))


def _of_gain(gain: Gain, expect: Expect) -> Evidence:
    """A settled gain confirms what was expected, or contradicts it.

    Where equivalence is expected, a gain that is there but may lie within the margin contradicts nothing: one beyond
    the margin does, by its whole interval.
    """
    verdict: Answered = OPEN
    if gain.verdict == expect:
        verdict = "confirmed"
    elif gain.verdict != OPEN and gain.low is not None and gain.high is not None:
        margin = gain.margin or 0.0
        beyond = gain.low > margin or gain.high < -margin
        verdict = "contradicted" if expect != "equivalent" or beyond else OPEN
    # The p-value that the verdict rests on: of equivalence, unless a gain that is there decides.
    p = gain.p_corrected if expect != "equivalent" or verdict == "contradicted" else gain.p_equivalent_corrected
    return Evidence(gain.benchmark, verdict, gain.gain, gain.low, gain.high, p, gain.reason or gain.verdict)


def _of_dose(finding: DoseFinding, claimed: int) -> Evidence:
    threshold = finding.response.threshold
    if threshold is None:
        return Evidence(
            finding.benchmark, OPEN, None, None, None, finding.p_corrected, finding.response.reason or NOT_MEASURED
        )
    verdict: Answered = OPEN
    if threshold.high is not None and threshold.high <= claimed:
        verdict = "confirmed"
    elif threshold.low is not None and threshold.low > claimed:
        verdict = "contradicted"
    return Evidence(
        finding.benchmark, verdict, threshold.dose, threshold.low, threshold.high, finding.p_corrected, "threshold"
    )


def _of_curve(finding: ScalingFinding) -> Evidence:
    curve = finding.curve
    verdict: Answered = OPEN
    if curve.verdict != OPEN:
        verdict = "confirmed" if curve.verdict == "scales" else "contradicted"
    exponent = curve.exponent if finding.fits else None
    ends = (None, None, None) if exponent is None else (exponent.value, exponent.low, exponent.high)
    found = curve.verdict if finding.fits is not False else f"{curve.verdict}, but not by a saturating power law"
    return Evidence(finding.benchmark, verdict, *ends, curve.p_corrected, curve.reason or found)


def _together(verdicts: Sequence[Answered]) -> Answered:
    if "contradicted" in verdicts:
        return "contradicted"
    return "confirmed" if verdicts and set(verdicts) == {"confirmed"} else OPEN
