"""Claims, doses and curves in words: the same in the terminal and on the page."""

from __future__ import annotations

from composer.findings.claims import Answer, Evidence
from composer.findings.designs import DoseFinding, ScalingFinding
from composer.findings.dose import NO_TREND
from composer.findings.results import Results
from composer.report.wording import MINUS, UNITS, p_value, plain, short_count, signed


def headline(results: Results) -> str:
    """The answer in a sentence: how many claims are confirmed, contradicted and open."""
    verdicts = [answer.verdict for answer in results.answers]
    counted = [
        f"{verdicts.count(verdict)} {said}"
        for verdict, said in (("confirmed", "confirmed"), ("contradicted", "contradicted"))
        if verdict in verdicts
    ]
    left = verdicts.count("cannot tell")
    counted += [f"{left} that the runs cannot tell"] if left else []
    return f"Of {len(verdicts)} claims: {', '.join(counted)}."


def expected(answer: Answer) -> str:
    """What would confirm a claim."""
    if answer.expect == "threshold":
        return f"confirmed where the whole interval of the threshold lies at or below {short_count(answer.dose)} rows"
    if answer.expect == "scales":
        return "confirmed where a test of monotone trend shows that more rows score higher"
    pair = f"{answer.arm} {MINUS} {answer.against}"
    if answer.expect == "equivalent":
        margin = "undeclared" if answer.margin is None else f"±{plain(answer.margin, 'accuracy')} {UNITS['accuracy']}"
        return f"confirmed where two one-sided tests put {pair} within {margin}"
    return f"confirmed where {pair} is {answer.expect} after correction"


def evidence_said(answer: Answer, evidence: Evidence) -> str:
    """What one benchmark says of a claim."""
    if answer.expect == "threshold":
        return _enough(evidence) if evidence.estimate is not None else evidence.found
    if answer.expect == "scales":
        exponent = "" if evidence.estimate is None else f"; exponent {_ends(evidence, '{:.2f}')}"
        return f"{evidence.found} (trend p {_p(evidence.p)}){exponent}"
    if evidence.estimate is None:
        return evidence.found
    gain = f"{signed(evidence.estimate, 'accuracy')} {UNITS['accuracy']}"
    if evidence.low is None or evidence.high is None:
        return f"{gain}, {evidence.found}"
    ends = f"[{signed(evidence.low, 'accuracy')}, {signed(evidence.high, 'accuracy')}]"
    equal = answer.expect == "equivalent" and evidence.verdict != "contradicted"
    return f"{gain} {ends}, corrected p {_p(evidence.p)}{' of equivalence' if equal else ''}"


def dose_said(finding: DoseFinding) -> str:
    """A dose-response in a line."""
    response, threshold = finding.response, finding.response.threshold
    if threshold is None:
        reason = "cannot tell whether the dose matters" if response.reason == NO_TREND else response.reason or ""
        return reason if finding.p_corrected is None else f"{reason} (p {_p(finding.p_corrected)})"
    low = "no lower end" if threshold.low is None else short_count(threshold.low)
    high = "no upper end" if threshold.high is None else short_count(threshold.high)
    return f"{100 * threshold.fraction:.0f} % of the full gain at {short_count(threshold.dose)} rows [{low}, {high}]"


def curve_said(finding: ScalingFinding) -> str:
    """A scaling curve in a line."""
    curve = finding.curve
    if curve.exponent is None or curve.exponent.value is None:
        return f"{curve.verdict}: {curve.reason}" if curve.reason else curve.verdict
    trend = f"{curve.verdict}, trend p {_p(curve.p_corrected)}"
    if not finding.fits:
        return f"{trend}; no power law fits (p {_p(curve.p_form)})"
    low = "0" if curve.exponent.low is None else f"{curve.exponent.low:.2f}"
    high = "∞" if curve.exponent.high is None else f"{curve.exponent.high:.2f}"
    return f"{trend}, exponent {curve.exponent.value:.2f} [{low}, {high}]"


def hold_out_said(finding: ScalingFinding) -> str | None:
    """How the largest size came out against what the smaller ones predicted; None where there is no such check."""
    check = finding.curve.hold_out
    if check is None or not finding.fits:
        return None
    if check.predicted is None or check.measured is None or check.predicted.value is None:
        return f"no hold-out check: {check.reason}" if check.reason else None
    low = "open" if check.predicted.low is None else plain(_possible(check.predicted.low, finding), finding.kind)
    high = "open" if check.predicted.high is None else plain(_possible(check.predicted.high, finding), finding.kind)
    foretold = plain(_possible(check.predicted.value, finding), finding.kind)
    return (
        f"{short_count(check.size)} rows, predicted from the smaller sizes {foretold} "
        f"[{low}, {high}], measured {plain(check.measured, finding.kind)}: {'inside' if check.inside else 'outside'}"
    )


def prediction_said(finding: ScalingFinding) -> str | None:
    """What is predicted beyond the sizes that were run."""
    if not finding.curve.predictions or not finding.fits:
        return None
    told = finding.curve.predictions[-1]
    if told.run.value is None:
        return None
    low = "open" if told.run.low is None else plain(_possible(told.run.low, finding), finding.kind)
    high = "open" if told.run.high is None else plain(_possible(told.run.high, finding), finding.kind)
    value = plain(_possible(told.run.value, finding), finding.kind)
    return f"one new run at {short_count(told.size)} rows: {value} [{low}, {high}]"


def _possible(score: float, finding: ScalingFinding) -> float:
    """A predicted score within what can be: the law knows nothing of a whole that accuracy is a part of."""
    return min(1.0, max(0.0, score)) if finding.kind == "accuracy" else score


def _enough(evidence: Evidence) -> str:
    low = "no lower end" if evidence.low is None else short_count(evidence.low)
    high = "no upper end" if evidence.high is None else short_count(evidence.high)
    return f"enough at {short_count(evidence.estimate)} rows [{low}, {high}]"


def _ends(evidence: Evidence, form: str) -> str:
    low = "0" if evidence.low is None else form.format(evidence.low)
    high = "∞" if evidence.high is None else form.format(evidence.high)
    return f"{form.format(evidence.estimate)} [{low}, {high}]"


def _p(p: float | None) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
