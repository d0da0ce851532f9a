"""What monitors find while a trial trains, and what was done about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from composer.artifacts import read_json, write_json


@dataclass(frozen=True)
class Event:
    """Something that a monitor found.

    Attributes:
        step: Where.
        kind: `spike`, `repeats`, `drift`, `plateau` or `divergence`.
        policy: What is done about it.
        told: A sentence for people.
        score: By how much, in robust standard deviations; infinite ones are left out.
        done: What came of the policy, in words, where something did.
    """

    step: int
    kind: str
    policy: str
    told: str
    score: float | None = None
    done: str = ""

    def as_json(self) -> dict[str, Any]:
        """The event as `events.json` holds it."""
        return asdict(self)


class Events:
    """What monitors found, on disk as soon as it is known: it decides what a resumed run leaves out."""

    def __init__(self, file: Path, writes: bool) -> None:
        """Reads what `file` holds; `writes`: this is the process, of several, that writes."""
        self.file, self.writes = file, writes
        self.found = [Event(**told) for told in read_json(file)] if file.exists() else []

    def add(self, event: Event) -> None:
        """Takes an event; one that a resumed run sees again is known."""
        if any((one.step, one.kind) == (event.step, event.kind) for one in self.found):
            return
        self.found.append(event)
        if self.writes:
            write_json(self.file, [one.as_json() for one in self.found])

    @property
    def left_out(self) -> set[int]:
        """The steps that a rollback left out."""
        return {event.step for event in self.found if event.policy == "rollback"}
