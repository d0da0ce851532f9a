"""The page: `RUN/report.html`, one file that needs no other and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.artifacts import read_json, write_text
from composer.findings.find import read_plan
from composer.findings.measured import Verdict
from composer.findings.planned import KINDS, Kind
from composer.findings.results import Results
from composer.report import sections, tables
from composer.report.flips import flipped
from composer.report.focus import MANY, focused, left_out
from composer.report.forest import forest
from composer.report.markup import Markup, join, tag
from composer.report.mixtures import legend, mixtures
from composer.report.pareto import pareto
from composer.report.search import search
from composer.report.training import training
from composer.report.wording import (
    CORRECTED,
    MARKS,
    TITLES,
    UNITS,
    equivalent,
    marks_said,
    plain,
    progress,
    seeds_said,
    settled,
    short_count,
    verdicts_said,
)

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

DOSE = (
    "Dots are seeds, rings their means. The curve, the average of the candidates by AICc, and the threshold with its "
    "interval (red) are drawn only where a test shows that the dose matters."
)
SCALING = (
    "Dots are seeds, rings their means. The curve is a saturating power law with the interval of the expected score, "
    "dashed where it predicts; it is drawn only where a test of monotone trend rejects and the law fits."
)
EFFECTS = "Differences of mean scores between the high and the low level of a factor, over all levels of the others."
FRONT = (
    "Mean accuracy over seeds ± standard deviation, against the tokens one trial is trained on. The line joins the "
    "arms that no other beats in both; it is of the means, so neighbours on it can differ by noise alone."
)
FLIPPED = "Items that one arm answers and the other does not, those first that flip in most seeds, with both answers."
SIGNED: tuple[Verdict, ...] = ("better", "worse")
BOUNDS = {
    "holm": "bounds the chance that any gain of a family is marked by luck",
    "benjamini_hochberg": "bounds the expected share of marks that are luck",
}


def write(run: Path) -> Path:
    """Writes `RUN/report.html` from the run's plan, results and training records, and returns its path.

    Raises:
        RequestError: `run` has no plan or no results.
    """
    plan, results = read_plan(run), Results.read(run)
    records = {
        trial.key: read_json(run / "trials" / trial.key / "record.json")
        for trial in results.trials
        if trial.status == "finished"
    }
    config = run / "config.yaml"
    told = config.read_text(encoding="utf-8") if config.is_file() else None
    page = _page(plan, results, records, told, flipped(run, focused(results)))
    path = run / "report.html"
    write_text(path, page)
    return path


def _page(
    plan: Mapping[str, Any], results: Results, records: Mapping[str, Any], config: str | None, items: Markup | None
) -> str:
    title = results.label or results.recipe
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", f"{title} · composer"),
        tag("style", _asset("page.css")),
    )
    body = tag(
        "body",
        tag("main", join(_sections(plan, results, records, config, items), "\n")),
        tag("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _sections(
    plan: Mapping[str, Any], results: Results, records: Mapping[str, Any], config: str | None, items: Markup | None
) -> list[Markup | None]:
    compared = bool(results.contrasts())
    drawn, shown = pareto(results), focused(results)
    only = left_out(results, shown)
    return [
        _headline(plan, results),
        _failed(results),
        _section("Answers", told) if (told := sections.answers(results)) is not None else None,
        _section("Search", *searched) if (searched := search(results)) else None,
        _section("Dose", _note(DOSE), *doses) if (doses := sections.doses(plan, results)) else None,
        _section("Scaling", _note(SCALING), *curves_) if (curves_ := sections.curves(plan, results)) else None,
        _section("Effects", _note(EFFECTS), effects) if (effects := sections.effects(results)) is not None else None,
        _section("Findings", _findings(results, shown)) if compared else None,
        *(_forest(shown, kind, only) for kind in KINDS if compared and results.measured(kind)),
        _section(
            "Scores",
            _note(
                "Mean over seeds ± standard deviation over seeds. A score is the unweighted mean over items; "
                f"where thinking never ended, the item is wrong, and the share of such items is told.{only}"
            ),
            tables.scores(shown),
            _all(results, shown, tables.scores(results)),
            sections.noise(results),
        ),
        _section("Held against another run", *held) if (held := sections.agreements(results)) else None,
        _section(
            "Mixtures",
            _note(
                f"Rows of each arm by category. The thin strip is what was asked for, the bar what the pool gave.{only}"
            ),
            legend(plan),
            mixtures(plan, shown),
            _details("The same as a table", tables.mixtures(plan, results)),
        ),
        _section("Score and cost", _note(FRONT), drawn) if drawn is not None else None,
        _section(
            "Cost",
            _note(_cost_note(results) + only),
            tables.cost(shown),
            tables.phases(shown),
            _all(results, shown, join([tables.cost(results), tables.phases(results)])),
        ),
        _section("Items that flipped", _note(FLIPPED), items) if items is not None else None,
        _section("Training loss", *trained) if (trained := training(shown, records, only)) else None,
        _section("How to read", _how_to_read(results)),
        _section("How to reproduce", _reproduce(plan, results, records, config)),
    ]


def _headline(plan: Mapping[str, Any], results: Results) -> Markup:
    model, pool = plan["model"], plan["pool"]
    baseline = f"baseline {results.baseline}" if results.baseline else "no baseline"
    size = f"{short_count(model['parameters'])} parameters" if model["parameters"] else model["name"]
    facts = [
        ("Model", model["label"] or model["name"], size),
        ("Pool", pool["name"], tag("code", pool["digest"][:12])),
        (
            "Arms × seeds",
            f"{len(results.arms)} × {seeds_said(results)}",
            baseline,
        ),
        ("Benchmarks", str(len(results.benchmarks)), _items(results)),
        ("Trials", f"{results.count('finished')} of {len(results.trials)}", _unfinished(results)),
    ]
    return tag(
        "header",
        tag("p", "composer", class_="eyebrow"),
        tag("h1", results.label or results.recipe),
        tag("p", tag("code", results.recipe), class_="dim") if results.label != results.recipe else None,
        tag("dl", *(_fact(*fact) for fact in facts), class_="facts"),
    )


def _fact(name: str, value: str, note: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="dim"))


def _items(results: Results) -> str:
    return f"{sum(one.items or 0 for one in results.benchmarks):,} items a trial"


def _unfinished(results: Results) -> str:
    said = [f"{results.count(status)} {status}" for status in ("failed", "missing") if results.count(status)]
    return ", ".join(said) or "all finished"


def _failed(results: Results) -> Markup | None:
    failed = [trial for trial in results.trials if trial.status == "failed"]
    if not failed and not results.count("missing"):
        return None
    lines = [
        tag("li", tag("b", f"{one.arm}, seed {one.seed}"), " failed: ", tag("code", one.error or "no reason given"))
        for one in failed
    ]
    note = (
        f"{progress(results)}. Everything below is over the finished trials; a gain is over the seeds both arms have."
    )
    return tag("aside", tag("p", note), tag("ul", *lines) if lines else None)


def _findings(results: Results, shown: Results) -> Markup:
    """What is said counts all gains; the list and the open table are of those that are shown."""
    parts: list[Markup | None] = []
    for kind in KINDS:
        if not results.measured(kind):
            continue
        parts.append(tag("h3", f"{TITLES[kind]}, {UNITS[kind]}"))
        parts.append(tag("p", verdicts_said(results, kind)))
        if kind == "accuracy" and settled(results, kind):
            parts.append(tag("ul", *(_said(shown, contrast) for contrast in shown.contrasts()), class_="said"))
        parts += [tables.gains(shown, kind), _all(results, shown, tables.gains(results, kind))]
    note = f"{marks_said(results)}{left_out(results, shown)} ± is half the {100 * results.rules.level:.3g} % interval."
    return join([*parts, tag("p", note, class_="dim small")])


def _said(results: Results, contrast: tuple[str | None, str, str]) -> Markup:
    """One comparison in a line: its verdict on every benchmark."""
    _, arm, against = contrast
    of_verdict: dict[Verdict, list[str]] = {verdict: [] for verdict in MARKS}
    for benchmark in results.measured("accuracy"):
        gain = results.gain(contrast, benchmark.name, "accuracy")
        size = f" by {plain(abs(gain.gain), gain.kind)}" if gain.gain is not None and gain.verdict in SIGNED else ""
        of_verdict[gain.verdict].append(f"{benchmark.label}{size}")
    words = {**{verdict: verdict for verdict in MARKS}, "equivalent": equivalent(results, "accuracy")}
    said = "; ".join(f"{words[verdict]} on {', '.join(of)}" for verdict, of in of_verdict.items() if of)
    return tag("li", tag("b", arm), f" against {against}: {said}")


def _all(results: Results, shown: Results, content: Markup) -> Markup | None:
    """A table of all arms, folded; None where all are shown already."""
    return None if shown is results else _details(f"All {len(results.arms)} arms", content)


def _forest(results: Results, kind: Kind, only: str) -> Markup:
    note = (
        "The dot is the gain, the line its 95 % interval, the small dots the seeds. Filled: with a verdict after "
        "correction. Hollow: cannot tell."
    )
    return _section(f"Gains, {TITLES[kind].lower()}", _note(note + only), forest(results, kind))


def _cost_note(results: Results) -> str:
    against = f" × is relative to {results.baseline}, paired by seed." if results.baseline else ""
    return f"One trial, mean over its finished seeds.{against}"


def _how_to_read(results: Results) -> Markup:
    families = "; ".join(f"{one.description} ({one.size} in all, {one.tested} tested)" for one in results.families)
    said = {
        "A gain": "is an arm’s score minus another’s on the same items with the same training seeds. Accuracy gains "
        "are in percentage points.",
        "An interval": "is a t interval over the seeds’ paired differences, for its gain alone: it can leave zero "
        f"out where the correction cannot tell. It estimates {results.rules.estimand}: seeds are the random unit. "
        "It does not speak of another draw of rows to the same quotas.",
        CORRECTED[results.rules.correction]: f"{BOUNDS[results.rules.correction]}. The families are: "
        f"{families or 'none, as nothing is compared'}.",
        "Cannot tell": "is not “no effect”: the interval says which gains the seeds leave possible. More seeds narrow "
        "it, and `composer plan` says how many see a given gain.",
        "Equivalent": "is said where two one-sided tests both put the gain inside the margin that the recipe declares "
        "(`findings.margin`); without a margin nothing is called equivalent.",
        "Noise": "is in the tooltips of the gains, from seeds and from items apart, and for each seed the items gained "
        "and lost with McNemar’s exact test. The latter speaks of that one pair of models, not of the mixtures.",
    }
    if results.measured("smooth"):
        said["The smooth score"] = (
            "is the gold answer’s bits per byte on the same questions; lower is better. It is finer than accuracy, and "
            "no substitute for it."
        )
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", text)) for name, text in said.items()), class_="read")


def _reproduce(plan: Mapping[str, Any], results: Results, records: Mapping[str, Any], config: str | None) -> Markup:
    versions = sorted({" · ".join(f"{k} {v}" for k, v in one["versions"].items()) for one in records.values()})
    digests = [("pool", plan["pool"]["name"], plan["pool"]["digest"])]
    digests += [("mixture", arm.name, arm.mixture) for arm in results.arms]
    rows = [[tables.Cell(kind), tables.Cell(name), tables.Cell(tag("code", value))] for kind, name, value in digests]
    digested = tables.table(["of", "name", "SHA-256"], rows)
    return join(
        [
            tag("pre", plan["command"]),
            _note("The same pool and recipe give the same rows, byte for byte."),
            digested if len(rows) <= MANY or results.search is None else _details("All digests", digested),
            tag("p", "Versions: ", "; ".join(versions) or "no finished trial", class_="small"),
            _details("Configuration", tag("pre", config)) if config else None,
            _details("All trials", tables.trials(results)),
        ]
    )


def _section(title: str, *parts: Markup | None) -> Markup:
    return tag("section", tag("h2", title), *parts)


def _note(content: str) -> Markup:
    return tag("p", content, class_="note")


def _details(summary: str, content: Markup) -> Markup:
    return tag("details", tag("summary", summary), content)


def _asset(name: str) -> Markup:
    return Markup("\n" + Path(__file__).with_name(name).read_text(encoding="utf-8"))
