"""Answers read from real traces agree with the labels that came with them."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "extraction.py"
DATA = os.environ.get("COMPOSER_DATA")


@pytest.mark.skipif(not DATA, reason="COMPOSER_DATA is not set: the real traces are not here")
def test_agreement_with_the_labels_and_a_reason_for_each_difference():
    folder = Path(DATA) / "pool" / "think_traces"
    if not folder.is_dir():
        pytest.skip(f"COMPOSER_DATA is {DATA}, which holds no pool/think_traces")
    spec = importlib.util.spec_from_file_location("extraction", SCRIPT)
    extraction = importlib.util.module_from_spec(spec)
    sys.modules["extraction"] = extraction
    spec.loader.exec_module(extraction)
    traces = list(extraction.judged(folder))
    apart = [one for one in traces if one.label != one.composer]
    assert len(traces) == 3828
    assert 1 - len(apart) / len(traces) >= 0.99
    assert [one.trace for one in apart if extraction.why(one) == "not explained"] == []
