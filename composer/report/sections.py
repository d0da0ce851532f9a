"""The page's sections on claims, doses, sizes and effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.findings.claims import Answer
from composer.findings.designs import DoseFinding, EffectFinding, ScalingFinding
from composer.findings.planned import KINDS
from composer.findings.results import Results
from composer.report import ladders, tables
from composer.report.answers import (
    curve_said,
    dose_said,
    evidence_said,
    expected,
    headline,
    hold_out_said,
    prediction_said,
)
from composer.report.markup import Markup, join, tag
from composer.report.wording import CLASSES, MARKS, TITLES, p_value, plain, signed

BADGES = {"confirmed": "confirmed", "contradicted": "contradicted", "cannot tell": "open"}


def answers(results: Results) -> Markup | None:
    """What the study answers, claim by claim; None where the recipe claims nothing."""
    if not results.answers:
        return None
    return join(
        [tag("p", headline(results)), tag("ol", *(_answer(results, one) for one in results.answers), class_="answers")]
    )


def _answer(results: Results, answer: Answer) -> Markup:
    labels = {one.name: one.label for one in results.benchmarks}
    told = [
        tag("li", tag("b", labels[one.benchmark]), f" {evidence_said(answer, one)}: {one.verdict}")
        for one in answer.evidence
    ]
    source = f" ({answer.source})" if answer.source else ""
    return tag(
        "li",
        tag("p", tag("span", answer.verdict, class_=f"verdict {BADGES[answer.verdict]}"), answer.label, class_="claim"),
        tag("p", f"The claim: {answer.says}{source}. Here it is {expected(answer)}.", class_="note"),
        tag("ul", *told),
    )


def doses(plan: Mapping[str, Any], results: Results) -> list[Markup]:
    """One figure a dose ladder and kind."""
    parts: list[Markup] = []
    for design in dict.fromkeys(one.design for one in results.doses):
        of = plan["designs"][design]
        parts.append(tag("h3", of["label"] or design))
        for kind in KINDS:
            found = [one for one in results.doses if (one.design, one.kind) == (design, kind)]
            if found:
                drawn = ladders.doses(results, found, dose_said)
                parts.append(_kind(kind, join([drawn, _candidates(results, found)])))
    return parts


def curves(plan: Mapping[str, Any], results: Results) -> list[Markup]:
    """One figure a scaling ladder, category and kind."""
    parts: list[Markup] = []
    for design, category in dict.fromkeys((one.design, one.category) for one in results.curves):
        label = plan["designs"][design]["label"] or design
        parts.append(tag("h3", f"{label} · {category}" if category and category not in label else label))
        for kind in KINDS:
            wanted = (design, category, kind)
            found = [one for one in results.curves if (one.design, one.category, one.kind) == wanted]
            if found:
                parts.append(_kind(kind, join([ladders.sizes(results, found, curve_said), _foretold(results, found)])))
    return parts


def effects(results: Results) -> Markup | None:
    """Every effect of the factorials, as a table; None without one."""
    parts = []
    for kind in KINDS:
        found = [one for one in results.effects if one.kind == kind]
        names = list(dict.fromkeys((one.design, one.effect) for one in found))
        benchmarks = results.measured(kind)
        if not found:
            continue
        by_place = {(one.design, one.effect, one.benchmark): one for one in found}
        rows = [
            [tables.Cell(name, f"{place:04d}"), *(_effect(by_place[design, name, one.name]) for one in benchmarks)]
            for place, (design, name) in enumerate(names)
        ]
        parts.append(tables.table(["effect of", *(one.label for one in benchmarks)], rows, TITLES[kind]))
    return join(parts) if parts else None


def noise(results: Results) -> Markup:
    """How well each metric tells the arms apart, folded; said openly where one does not."""
    labels = {one.name: one.label for one in results.benchmarks}
    rows, silent = [], []
    for one in results.signals:
        signal = one.signal
        if signal.verdict == "too noisy":
            silent.append(
                tag("li", tag("b", f"{labels[one.benchmark]}, {TITLES[one.kind].lower()}"), f": {signal.reason}")
            )
        ends = "" if signal.low is None or signal.high is None else f" [{signal.low:.2f}, {signal.high:.2f}]"
        rows.append(
            [
                tables.Cell(labels[one.benchmark], labels[one.benchmark]),
                tables.Cell(TITLES[one.kind], one.kind),
                tables.Cell("–" if signal.ratio is None else f"{signal.ratio:.2f}{ends}", signal.ratio),
                tables.Cell("–" if signal.reliability is None else f"{signal.reliability:.2f}", signal.reliability),
                tables.Cell(signal.verdict, signal.verdict, title=signal.reason),
            ]
        )
    told = tables.table(["benchmark", "metric", "signal / noise", "reliability", "verdict"], rows)
    said = tag("p", "Too noisy to compare arms by, and greyed out:", class_="note") if silent else None
    folded = tag("details", tag("summary", "Signal and noise of each metric"), told)
    return join([said, tag("ul", *silent, class_="said") if silent else None, folded])


def agreements(results: Results) -> list[Markup]:
    """Whether the arms come in the order of the reference run's; nothing where there is none."""
    if results.reference is None:
        return []
    labels = {one.name: one.label for one in results.benchmarks}
    rows = []
    for one in results.agreements:
        of = one.agreement
        ends = "" if of.low is None or of.high is None else f" [{signed_share(of.low)}, {signed_share(of.high)}]"
        rho = of.reason or "" if of.spearman is None else f"{signed_share(of.spearman)}{ends}"
        rows.append(
            [
                tables.Cell(labels[one.benchmark], labels[one.benchmark]),
                tables.Cell(TITLES[one.kind], one.kind),
                tables.Cell(str(of.arms), of.arms),
                tables.Cell(rho, of.spearman),
                tables.Cell(p_value(of.p_corrected), of.p_corrected),
                tables.Cell(of.verdict, of.verdict),
            ]
        )
    note = f"Do the arms come in the order they have in {results.reference}? Spearman’s ρ of their mean scores."
    return [tag("p", note, class_="note"), tables.table(["benchmark", "metric", "arms", "ρ", "p", "verdict"], rows)]


def signed_share(value: float) -> str:
    """A correlation, with two decimals."""
    return f"{value:.2f}".replace("-", "−")


def _effect(one: EffectFinding) -> tables.Cell:
    if one.gain is None:
        return tables.Cell("–", None, "dim", one.reason)
    half = "" if one.low is None or one.high is None else f" ± {plain((one.high - one.low) / 2, one.kind)}"
    mark = f" {MARKS[one.verdict]}" if MARKS[one.verdict] else ""
    return tables.Cell(
        f"{signed(one.gain, one.kind)}{half}{mark}", one.gain, CLASSES[one.verdict], one.reason or one.verdict
    )


def _kind(kind: str, content: Markup) -> Markup:
    """Accuracy at once, the smooth score folded."""
    return content if kind == "accuracy" else tag("details", tag("summary", "The same by smooth score"), content)


def _candidates(results: Results, found: Sequence[DoseFinding]) -> Markup | None:
    labels = {one.name: one.label for one in results.benchmarks}
    rows = [
        [
            tables.Cell(labels[one.benchmark], labels[one.benchmark]),
            tables.Cell(candidate.name, candidate.name),
            tables.Cell("–" if candidate.aicc is None else f"{candidate.aicc:.1f}".replace("-", "−"), candidate.aicc),
            tables.Cell(f"{candidate.weight:.2f}", candidate.weight),
            tables.Cell(signed(candidate.gain, one.kind), candidate.gain),
            tables.Cell("–" if candidate.threshold is None else f"{candidate.threshold:,.0f}", candidate.threshold),
        ]
        for one in found
        for candidate in one.response.candidates
    ]
    if not rows:
        return None
    whole = tables.table(["benchmark", "curve", "AICc", "weight", "full gain", "threshold, rows"], rows)
    return tag("details", tag("summary", "The curves that were compared"), whole)


def _foretold(results: Results, found: Sequence[ScalingFinding]) -> Markup | None:
    labels = {one.name: one.label for one in results.benchmarks}
    lines = [
        tag("li", tag("b", labels[one.benchmark]), f" {'; '.join(said)}")
        for one in found
        if (said := [told for told in (prediction_said(one), hold_out_said(one)) if told is not None])
    ]
    return tag("ul", *lines, class_="said") if lines else None
