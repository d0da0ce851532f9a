"""Signs of life in a database: each worker counts up beside its trials, and takes for dead who has stopped counting.

No clock is compared with another machine's: a worker is dead once this process has seen its count stand still for long
enough. Time in which this process did not look, or could not, says nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

BEATS = 4  # in the time after which a silent worker is taken for dead

Count = Sequence[float] | None  # how often it has counted, and after how many seconds it wants to be taken for dead


class Beats:
    """The signs of life of this process, and what it has seen of others'."""

    def __init__(
        self, seconds: float, mine: Callable[[], Collection[int]], beat: Callable[[int, list[float]], None],
        look: Callable[[], Mapping[int, Count]],
    ) -> None:  # fmt: skip
        """Begins, in a thread of its own.

        Args:
            seconds: After which a silent worker is taken for dead.
            mine: The trials that this process works on.
            beat: Notes a count beside one of them.
            look: The counts beside all trials that run.
        """
        self.seconds, self.mine, self.beat, self.look = seconds, mine, beat, look
        self.count = 0
        self._seen: dict[int, tuple[Count, float]] = {}
        self._looked = -float("inf")
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def dead(self, trial: int) -> bool:
        """Whether a running trial's worker has been silent for too long."""
        with self._lock:
            count, since = self._seen.get(trial, (None, float("inf")))
            wanted = max(self.seconds, count[1] if count else 0.0)
            now = time.monotonic()
            return now - since > wanted and now - self._looked <= self.seconds

    def stop(self) -> None:
        """Ends the thread, once it has done what it is at."""
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.wait(self.seconds / BEATS):
            self.count += 1
            try:
                for trial in self.mine():
                    self.beat(trial, [self.count, self.seconds])
                self._note(self.look())
            except Exception:  # a database that is away for a moment
                with self._lock:
                    self._seen.clear()

    def _note(self, counts: Mapping[int, Count]) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._looked > self.seconds:
                self._seen.clear()
            self._looked = now
            known = self._seen
            self._seen = {
                trial: known[trial] if trial in known and known[trial][0] == count else (count, now)
                for trial, count in counts.items()
            }
