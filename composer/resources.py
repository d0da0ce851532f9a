"""Where the configs, recipes, lm-eval tasks and the mini base lie: beside the package, or inside an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from composer.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def conf_folder() -> Path:
    """The folder of Hydra's groups; `recipes` is one of them."""
    return _beside_or_inside("conf")


def recipes_folder() -> Path:
    """The folder of recipes."""
    return _beside_or_inside("recipes")


def options(group: str) -> list[str]:
    """The names a group of configs offers, such as `mini` for `model`: the packaged ones, and those in this folder."""
    return sorted({file.stem for folder in _groups(group) for file in folder.glob("*.yaml")})


def option_file(group: str, name: str) -> Path:
    """The file of a group's option; one below the current folder goes before a packaged one.

    Raises:
        ConfigError: There is no such option.
    """
    for folder in _groups(group):
        if (file := folder / f"{name}.yaml").is_file():
            return file
    raise ConfigError([f"{group} is {name}: it must be one of {', '.join(options(group))}"])


def _groups(group: str) -> tuple[Path, Path]:
    return Path.cwd() / "conf" / group, conf_folder() / group


def eval_folder(tasks: str) -> Path:
    """The folder of lm-eval tasks that a config names: one below `eval/`, or a path.

    Raises:
        ConfigError: There is no such folder.
    """
    below = _beside_or_inside("eval")
    for folder in (below / tasks, Path(tasks).expanduser()):
        if folder.is_dir():
            return folder.resolve()
    known = ", ".join(sorted(path.name for path in below.iterdir() if path.is_dir() and path.name[0] not in "._"))
    raise ConfigError([f"benchmarks.tasks is {tasks}: it must be one of {known}, or a folder of lm-eval tasks"])


def eval_folders(tasks: str) -> list[Path]:
    """The folders of lm-eval tasks that a config names, one or several with commas between them.

    Raises:
        ConfigError: There is no such folder.
    """
    return [eval_folder(one.strip()) for one in tasks.split(",")]


def base_model() -> Path:
    """The mini base's checkpoint."""
    return _PACKAGE / "mini" / "base"


def cache_folder() -> Path:
    """Where generated pools are kept: COMPOSER_CACHE, or `composer` in the user's cache folder."""
    if given := os.environ.get("COMPOSER_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "composer"


def _beside_or_inside(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
