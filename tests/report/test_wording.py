from __future__ import annotations

from pathlib import Path

import pytest
from findings.run_folder import ARMS, write_run

from composer.findings import find
from composer.report.wording import duration, p_value, percent, short_count, signed, verdicts_said


def test_a_gain_has_its_sign_unless_it_rounds_to_zero() -> None:
    assert [signed(value, "accuracy") for value in (0.0316, -0.1, 0.0004, -0.0004)] == ["+3.2", "−10.0", "0.0", "0.0"]
    assert signed(-0.0123, "smooth") == "−0.012"


def test_a_small_share_is_not_called_nothing_nor_a_large_one_all() -> None:
    assert [percent(share) for share in (0, 0.004, 0.054, 0.996, 1)] == ["0 %", "0.4 %", "5 %", "99.6 %", "100 %"]


@pytest.mark.parametrize(
    ("value", "text"), [(945, "945"), (1234, "1.23 k"), (999_900, "1 M"), (45_600_000, "45.6 M"), (8e9, "8 B")]
)
def test_large_numbers_have_three_digits(value: float, text: str) -> None:
    assert short_count(value) == text


def test_durations_read_as_people_say_them() -> None:
    said = [duration(seconds) for seconds in (4.21, 59.97, 725, 12_000, None)]
    assert said == ["4.2 s", "1 min 0 s", "12 min 5 s", "3 h 20 min", "–"]


def test_a_p_value_is_never_zero() -> None:
    assert [p_value(p) for p in (1e-9, 0.0123, 1.0, None)] == ["<0.001", "0.012", "1.000", "–"]


def test_why_nothing_is_settled_is_said(tmp_path: Path) -> None:
    nothing = find(write_run(tmp_path / "none", missing=[(arm, seed) for arm in ARMS for seed in range(4)]))
    one = find(write_run(tmp_path / "one", seeds=1))
    alone = find(write_run(tmp_path / "alone", arms=("run1",)))
    assert verdicts_said(nothing, "accuracy").startswith("No gain yet")
    assert "None of the 20 gains has an interval" in verdicts_said(one, "accuracy")
    assert verdicts_said(alone, "accuracy").startswith("Nothing is compared")
