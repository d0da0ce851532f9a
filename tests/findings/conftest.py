from __future__ import annotations

from pathlib import Path

import pytest

from findings.run_folder import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four arms × four seeds × four benchmarks, all finished."""
    return write_run(tmp_path / "run")
