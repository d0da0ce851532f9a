"""How numbers and findings are put into words: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from composer.findings.gains import SAME_TRIALS
from composer.findings.measured import UNTOLD, Gain, Verdict
from composer.findings.planned import Arm, Benchmark, Kind, TrialEvent
from composer.findings.results import Results
from composer.findings.statistics import NO_VARIANCE

T = TypeVar("T")

MINUS = "−"
MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "equivalent": "≈", "cannot tell": ""}
CLASSES: dict[Verdict, str] = {"better": "better", "worse": "worse", "equivalent": "alike", "cannot tell": "open"}
CORRECTED = {"holm": "Holm’s correction", "benjamini_hochberg": "Benjamini and Hochberg’s correction"}
TITLES: dict[Kind, str] = {"accuracy": "Accuracy", "smooth": "Smooth score"}
UNITS: dict[Kind, str] = {"accuracy": "points", "smooth": "bits per byte"}
_DONE = {
    "warn": "training went on", "skip": "the step was left out", "rollback": "training went back and left the step out",
    "lower_lr": "the learning rate was lowered", "stop": "training ended",
}  # fmt: skip
_SCALE: dict[Kind, int] = {"accuracy": 100, "smooth": 1}
_SHORT_REASONS = {NO_VARIANCE: "no spread", SAME_TRIALS: "same trials"}
_DECIMALS: dict[Kind, int] = {"accuracy": 1, "smooth": 3}


def shown(value: float, kind: Kind) -> float:
    """A score or gain in the unit it is shown in: accuracy in points, the smooth score as it is."""
    return value * _SCALE[kind]


def plain(value: float, kind: Kind) -> str:
    """A score, as 61.2 points or 0.873 bits per byte."""
    return f"{shown(value, kind):.{_DECIMALS[kind]}f}".replace("-", MINUS)


def signed(value: float, kind: Kind) -> str:
    """A gain with its sign; one that rounds to zero has none."""
    text = f"{shown(value, kind):+.{_DECIMALS[kind]}f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", MINUS)


def half_width(gain: Gain) -> str | None:
    """Half the width of a gain's interval, or None where it has none."""
    if gain.low is None or gain.high is None:
        return None
    return plain((gain.high - gain.low) / 2, gain.kind)


def interval(gain: Gain) -> str:
    """A gain's interval, or why it has none."""
    if gain.low is None or gain.high is None:
        return gain.reason or ""
    return f"[{signed(gain.low, gain.kind)}, {signed(gain.high, gain.kind)}]"


def short_reason(gain: Gain) -> str:
    """Why a gain has no interval, in two words."""
    return _SHORT_REASONS.get(gain.reason or "", gain.reason or "")


def p_value(p: float | None) -> str:
    """A p-value to three decimals, or a dash."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    """A share in whole percent; with a decimal where it would round to none or all."""
    text = f"{100 * share:.0f}"
    return f"{100 * share:.1f} %" if text in {"0", "100"} and share not in {0, 1} else f"{text} %"


def share(value: float | None) -> str:
    """A share in whole percent, or a dash."""
    return "–" if value is None else percent(value)


def count(value: float | None) -> str:
    """A whole number with thousands apart, or a dash."""
    return "–" if value is None else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """A large number to three digits: 945, 1.23 k, 45.6 M."""
    if value is None:
        return "–"
    rounded = float(f"{value:.3g}")
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if rounded >= size:
            return f"{rounded / size:.3g} {unit}"
    return f"{rounded:.0f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 4.2 s, 12 min 5 s, 3 h 20 min."""
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def times(ratio: float | None) -> str:
    """A ratio, as ×0.52."""
    return "–" if ratio is None else f"×{ratio:.2f}"


def done_said(event: TrialEvent) -> str:
    """What was done about an event."""
    return _DONE.get(event.policy, event.policy)


def hours(value: float | None) -> str:
    """Hours of a GPU; a dash without one."""
    return "–" if value is None else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def contrast_name(contrast: tuple[str | None, str, str]) -> str:
    """What is compared, in the arms' names: an arm over the baseline, or one arm minus another."""
    comparison, arm, against = contrast
    return arm if comparison is None else f"{arm} {MINUS} {against}"


def contrast_label(results: Results, contrast: tuple[str | None, str, str]) -> str:
    """The arm's label, or the comparison's name; empty where that is what `contrast_name` says already."""
    comparison, arm, _ = contrast
    label = results.label_of(arm) if comparison is None else comparison
    return "" if label == contrast_name(contrast) else label


def arm_label(arm: Arm) -> str:
    """An arm's label; empty where it is the arm's name."""
    return "" if arm.label == arm.name else arm.label


def seeds_said(results: Results) -> str:
    """How many seeds the arms were planned with."""
    numbers = [len([one for one in results.trials if one.arm == arm.name]) for arm in results.arms]
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low}" if low == high else f"{low} to {high}"


def progress(results: Results) -> str:
    """How many trials are finished, failed and missing."""
    said = [f"{results.count('finished')} of {len(results.trials)} trials finished"]
    said += [f"{results.count(status)} {status}" for status in ("failed", "missing") if results.count(status)]
    return ", ".join(said)


def settled(results: Results, kind: Kind) -> list[Gain]:
    """The gains of this kind that have a verdict after correction, in the table's order."""
    return [gain for gain in results.gains if gain.kind == kind and gain.verdict != UNTOLD]


def verdicts_said(results: Results, kind: Kind) -> str:
    """One sentence: how many gains of this kind are settled."""
    gains = [gain for gain in results.gains if gain.kind == kind]
    found = settled(results, kind)
    measured = [gain for gain in gains if gain.gain is not None]
    better = sum(gain.verdict == "better" for gain in found)
    if not gains:
        return "Nothing is compared: the recipe has neither a baseline nor a comparison."
    if not measured:
        return "No gain yet: both arms of a comparison need a finished trial with the same seed."
    if all(gain.p is None for gain in measured):
        return f"None of the {len(measured)} gains has an interval: it takes two seeds or more that differ."
    if not found:
        return f"Cannot tell for any of the {len(gains)} gains after correction: more seeds narrow the intervals."
    counted = [f"{better} better", f"{sum(gain.verdict == 'worse' for gain in found)} worse"]
    alike, untold = sum(gain.verdict == "equivalent" for gain in found), len(gains) - len(found)
    counted += [f"{alike} {equivalent(results, kind)}"] if alike else []
    counted += [f"{untold} where the seeds cannot tell"] if untold else []
    return f"Of {len(gains)} gains, after correction: {', '.join(counted)}."


def equivalent(results: Results, kind: Kind) -> str:
    """The verdict of equivalence with its margin, as `equivalent within ±2.0 points`."""
    margin = results.rules.margins[kind]
    return "equivalent" if margin is None else f"equivalent within ±{plain(margin, kind)} {UNITS[kind]}"


def marks_said(results: Results) -> str:
    """What the marks of a table mean."""
    alike = f" {MARKS['equivalent']} equivalent within the margin declared," if _has_margin(results) else ""
    level = f"{100 * (1 - results.rules.level):.3g} %"
    return (
        f"{MARKS['better']} better, {MARKS['worse']} worse,{alike} each at {level} after "
        f"{CORRECTED[results.rules.correction]}; no mark: cannot tell."
    )


def _has_margin(results: Results) -> bool:
    return any(margin is not None for margin in results.rules.margins.values())


def lower_is_better(results: Results, kind: Kind) -> bool:
    """Whether lower is better in all measures of this kind."""
    measures = [one.measure(kind) for one in results.measured(kind)]
    return bool(measures) and all(one is not None and not one.higher_is_better for one in measures)


def noisy(results: Results, benchmark: Benchmark, kind: Kind) -> str | None:
    """Why a benchmark is too noisy to compare arms by; None where it is not, or nothing is known."""
    signal = results.signal(benchmark.name, kind)
    return signal.reason if signal.verdict == "too noisy" else None


def in_chunks(things: Sequence[T], size: int) -> list[Sequence[T]]:
    """`things` in as few groups of at most `size` as there can be, about equally large."""
    groups = -(-len(things) // size)
    size = -(-len(things) // max(1, groups))
    return [things[start : start + size] for start in range(0, len(things), size or 1)]
