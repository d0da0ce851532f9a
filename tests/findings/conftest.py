"""A training run may share the machine: how long one example takes says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from findings.run_folder import write_run

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four arms × four seeds × four benchmarks, all finished."""
    return write_run(tmp_path / "run")
