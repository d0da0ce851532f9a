"""The errors that composer raises on purpose. Each message names the thing, its value, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Sequence


class ComposerError(Exception):
    """The root of composer's errors; `exit_code` is what the command line returns for it."""

    exit_code = 1


class RequestError(ComposerError):
    """The request was wrong; nothing was changed."""

    exit_code = 2


class ConfigError(RequestError):
    """A configuration has problems; all of them are listed.

    Args:
        problems: One sentence each, naming the key, its value and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        """Keeps the problems and joins them, one a line."""
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        """What it is made of anew by in another process."""
        return type(self), (self.problems,)


class ShortageError(RequestError):
    """A mixture asks for more rows than the pool has."""


class PoolError(RequestError):
    """A pool cannot be read or built."""


class UnfinishedError(PoolError):
    """A pool is not finished for a reason that may pass; what is done is kept, and the same request goes on."""


class OutputError(RequestError):
    """An output folder holds something that must not be overwritten."""


class NeedsError(RequestError):
    """The request needs something this machine lacks: the network, a GPU, an extra package."""


class TrialError(ComposerError):
    """A trial failed."""


class FindingsError(ComposerError):
    """A run's results cannot be read, or do not pair."""
