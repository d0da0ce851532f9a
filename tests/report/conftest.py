"""A training run may share the machine: how long one example takes says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from findings.run_folder import write_run
from hypothesis import settings

from composer.findings import find

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

EVENTS = {
    ("run2", 0): [
        {"step": 89, "kind": "spike", "policy": "skip", "told": "the rows of step 89 are harder", "score": 12.5},
        {"step": 300, "kind": "drift", "policy": "warn", "told": "the loss has risen since step 250", "score": None},
    ],
    ("run4", 3): [{"step": 12, "kind": "divergence", "policy": "stop", "told": "the loss of step 12 is no number"}],
}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four arms × four seeds × four benchmarks, one trial failed, with results; not to be written to."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", failed=[("run4", 3)], events=EVENTS)
    find(folder)
    return folder
