"""From per-item results of all trials to scores, gains with intervals, and cost."""

from composer.findings.find import find
from composer.findings.results import Results

__all__ = ["Results", "find"]
