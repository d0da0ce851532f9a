"""A training run may share the machine: how long one example takes says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from findings.run_folder import write_run
from hypothesis import settings

from composer.findings import find

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four arms × four seeds × four benchmarks, one trial failed, with results; not to be written to."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", failed=[("run4", 3)])
    find(folder)
    return folder
