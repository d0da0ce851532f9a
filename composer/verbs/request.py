"""What the command line asked for, and what several verbs do with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from composer.recipe import Recipe

PATIENCE = 2.0  # seconds of work before a bar is shown


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    json: bool = False
    print_config: bool = False
    run: Path | None = None
    arm: str | None = None
    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)  # of `fit`, `plan`, `pool` and `trace`


def load(request: Request, console: Console) -> Recipe | None:
    """The recipe; None where only its config was asked for, which is then printed."""
    from composer.recipe import as_yaml, load_recipe

    recipe = load_recipe(request.recipe, request.overrides)
    if request.print_config:
        sys.stdout.write(as_yaml(recipe.config))
        return None
    return recipe


@contextmanager
def steps(told: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar with what is being done, at first `told`: on a terminal, once the work takes longer than `PATIENCE`."""
    from threading import Timer

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(told, total=None, visible=False)
        later = Timer(PATIENCE, lambda: bar.update(task, visible=True))
        later.daemon = True
        later.start()
        try:
            yield lambda told, done, total: bar.update(task, description=told, completed=done, total=total)
        finally:
            later.cancel()


def print_json(value: Any) -> None:
    """Prints a value for machines."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
