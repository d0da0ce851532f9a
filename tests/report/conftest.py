from __future__ import annotations

from pathlib import Path

import pytest
from findings.run_folder import write_run

from composer.findings import find


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four arms × four seeds × four benchmarks, one trial failed, with results; not to be written to."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", failed=[("run4", 3)])
    find(folder)
    return folder
