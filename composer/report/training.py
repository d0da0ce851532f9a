"""The page's section on training: every trial's loss, and on it what its monitors told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.findings.results import Results
from composer.report import tables
from composer.report.curves import Curve, curves
from composer.report.focus import MANY
from composer.report.markup import Markup, tag
from composer.report.wording import done_said


def training(results: Results, records: Mapping[str, Any], only: str) -> list[Markup]:
    """The curves, and the events as a table; nothing where no trial is finished and none told anything.

    Args:
        results: With the arms that are drawn.
        records: Of finished trials, by key.
        only: What is said of arms that are not drawn.
    """
    losses: dict[str, dict[int, Curve]] = {arm.name: {} for arm in results.arms}
    for trial in results.trials:
        if trial.status == "finished" and (loss := records[trial.key]["training"]["loss"]):
            losses[trial.arm][trial.seed] = [(float(step), float(value)) for step, value in loss]
    told = " Circles are what monitors told, listed below." if results.events else ""
    note = f"One line a seed; the other arms are in grey. All panels share their axes.{told}{only}"
    drawn = curves(results, losses)
    parts = [] if drawn is None else [tag("p", note, class_="note"), drawn]
    if results.events:
        parts.append(_events(results))
    return parts


def _events(results: Results) -> Markup:
    rows = [
        [
            tables.Cell(tag("b", one.arm), one.arm),
            tables.Cell(str(one.seed), one.seed),
            tables.Cell(str(one.step), one.step),
            tables.Cell(one.kind, one.kind),
            tables.Cell(one.told, one.told),
            tables.Cell(done_said(one), one.policy),
        ]
        for one in results.events
    ]
    told = tables.table(["arm", "seed", "step", "what", "told", "then"], rows)
    if len(rows) <= MANY:
        return told
    return tag("details", tag("summary", f"What monitors told: {len(rows)} events"), told)
