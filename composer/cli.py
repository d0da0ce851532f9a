"""The command line: `composer VERB [RECIPE] [key=value …]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from composer import __version__
from composer.errors import ComposerError, ConfigError, RequestError
from composer.verbs.request import Request

INTERRUPTED = 130

VERBS: dict[str, str] = {
    "list": "recipes, pools, mixtures, models, trainers and benchmarks to choose from",
    "pool": "read, curate and index a pool's sources, or inspect one: POOL/{rows, rejects, index.parquet, pool.json}",
    "compose": "build one mixture: OUT/{data/*.parquet, manifest.json, README.md}",
    "plan": "arms × seeds, rows, tokens and expected time; runs nothing",
    "run": "run the recipe; run again, it goes on where it stopped",
    "report": "rebuild the results and the report of a run",
    "fit": "what finished trials, or a CSV of shares and scores, say of any other mixture; recommends one",
    "trace": "what was in a training step, what is unusual in it, and the filter that would have kept it out",
    "doctor": "what this machine can run, and what is missing",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code: 0 done, 1 the work failed, 2 the request was wrong."""
    parser = _parser()
    # argparse takes no positional after an option that follows others: those are overrides too.
    given, rest = parser.parse_known_args(arguments)
    if stray := [text for text in rest if text.startswith("-") or not hasattr(given, "overrides")]:
        parser.error(f"unrecognized arguments: {' '.join(stray)}")
    if rest:
        given.overrides += rest
    if given.verb is None:
        parser.print_help()
        return 0
    console, errors = Console(), Console(stderr=True)
    try:
        code = _verb(given.verb)(_request(given), console)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            errors.print(f"[red]error:[/] {_plain(problem)}", highlight=False, soft_wrap=True)
        return error.exit_code
    except ComposerError as error:
        errors.print(f"[red]error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
        return error.exit_code
    except BrokenPipeError:
        # What reads our output has enough of it, as `head` has; Python would complain once more at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on where it stopped", highlight=False)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="composer",
        description="Compose dataset mixtures exactly; plan, run and report ablations of them.",
        epilog="composer VERB --help says more of each. Try: composer run quickstart",
    )
    parser.add_argument("--version", action="version", version=f"composer {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, told in VERBS.items():
        verb = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
        verb.add_argument("--json", action="store_true", help="print the result as JSON")
        if name in {"list", "doctor"}:
            continue
        if name == "report":
            verb.add_argument("run", metavar="RUN", help="the folder of a run, such as runs/quickstart")
            continue
        if name == "trace":
            _trace_arguments(verb)
            continue
        if name == "fit":
            _fit_arguments(verb)
            continue
        told = "one of `composer list`" + ("; or `inspect`, and the folder of a pool" if name == "pool" else "")
        verb.add_argument("recipe", nargs="?", metavar="RECIPE|inspect" if name == "pool" else "RECIPE", help=told)
        verb.add_argument(
            "overrides", nargs="*", metavar="key=value", help="Hydra overrides, such as mixture.size=50000"
        )
        verb.add_argument("--cfg", choices=("job",), help="print the composed config and stop")
        if name == "compose":
            verb.add_argument("--arm", help="which arm of a recipe that has several")
            verb.add_argument(
                "--workers",
                type=int,
                default=min(os.cpu_count() or 1, 4),
                help="threads that read the pool and write (the result is the same)",
            )
        if name == "plan":
            verb.add_argument(
                "--measure", action="store_true",
                help="train some steps and evaluate some items first, and reckon with what they took",
            )  # fmt: skip
        if name == "pool":
            _pool_arguments(verb)
    return parser


def _pool_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that curate (the result is the same)"
    )
    shown = verb.add_argument_group("of `pool inspect`: rows to show")
    for name, told in (("category", "of the pool"), ("stratum", "of the pool"), ("mode", "think or no_think"),
                       ("reason", "thrown out for it; how it begins is enough, `all` is any"),
                       ("source", "of these rows; of those thrown out, the section's name")):  # fmt: skip
        shown.add_argument(f"--{name}", help=told)
    shown.add_argument("--rows", type=int, help="how many; 3")
    shown.add_argument("--seed", type=int, help="which")


def _fit_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "run", metavar="RUN|FILE.csv", help="the folder of a run, or a CSV file with a run a row: shares and scores"
    )
    many: dict[str, Any] = {"action": "append", "default": []}
    of_csv = verb.add_argument_group("of a CSV file")
    verb.add_argument("--weights", metavar="B=W,…", help="benchmarks in the objective; else the search's, else equal")
    verb.add_argument("--bounds", metavar="C=LOW:HIGH", help="shares that a category may have; repeatable", **many)
    verb.add_argument("--mixture", metavar="C=S,…", help="a mixture whose scores to predict; repeatable", **many)
    verb.add_argument("--step", type=float, default=0.05, help="by how much a share is raised to see what it moves")
    verb.add_argument("--folds", type=int, help="of cross-validation; fewer are quicker")
    verb.add_argument("--recipe", metavar="PATH", help="where the recommended recipe goes; recipes/NAME_best.yaml")
    verb.add_argument("--no-recipe", action="store_true", help="write no recipe")
    verb.add_argument("--force", action="store_true", help="overwrite another recipe there")
    verb.add_argument("--out", metavar="FILE", help="where the result goes as JSON; of a run RUN/fit.json")
    of_csv.add_argument("--shares", metavar="PREFIX", help="of the columns of shares; ratio_")
    of_csv.add_argument("--scores", metavar="PREFIX", help="of the columns of scores; metric_")
    of_csv.add_argument("--where", metavar="COLUMN=VALUE", help="the rows to read")
    of_csv.add_argument("--lower", metavar="BENCHMARK|all", help="less of it is better; repeatable", **many)
    of_csv.add_argument("--size", type=int, help="rows of the recommended recipe; 50000")


def _trace_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "run", metavar="RUN", help="the folder of a run, such as runs/quickstart, or of one of its trials"
    )
    verb.add_argument(
        "overrides", nargs="*", metavar="step=N|key=value",
        help="step=89 or step=89-91; without, events are listed. Of several trials one by arm=, seed= or trial=KEY",
    )  # fmt: skip
    verb.add_argument("--rows", type=int, default=20, help="how many rows to show; 20")


def _request(given: argparse.Namespace) -> Request:
    """The request, a recipe told from an override by its equals sign."""
    recipe, overrides = getattr(given, "recipe", None), list(getattr(given, "overrides", ()))
    if recipe is not None and ("=" in recipe or recipe.startswith("~")):
        recipe, overrides = None, [recipe, *overrides]
    run = Path(given.run) if getattr(given, "run", None) else None
    inspects = given.verb == "pool" and recipe == "inspect"
    if inspects:
        recipe = None
        if overrides and "=" not in overrides[0]:
            run, overrides = Path(overrides[0]), overrides[1:]
            if overrides:
                raise RequestError(
                    f"composer pool inspect {run} takes no {overrides[0]}: the folder says what it holds"
                )
    named = [text for text in overrides if text.startswith("recipes=")]
    if named:
        recipe, overrides = named[-1].removeprefix("recipes="), [text for text in overrides if text not in named]
    if recipe is None and given.verb == "run":
        raise RequestError("composer run needs a recipe, such as composer run quickstart; `composer list` names them")
    return Request(
        recipe=recipe,
        overrides=tuple(overrides),
        json=given.json,
        print_config=getattr(given, "cfg", None) is not None,
        run=run,
        arm=getattr(given, "arm", None),
        workers=getattr(given, "workers", 1),
        options={**vars(given), "inspect": inspects} if given.verb in {"fit", "plan", "pool", "trace"} else {},
    )


def _verb(name: str) -> Callable[[Request, Console], int]:
    """The verb's function; its module is imported only now, so that `--help` is quick."""
    import composer.verbs as verbs

    chosen: Callable[[Request, Console], int] = getattr(verbs, f"{name}_")
    return chosen


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    sys.exit(main())
