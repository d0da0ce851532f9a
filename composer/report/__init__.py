"""What a run has found, for people: in the terminal, and as one self-contained HTML page."""

from composer.report.html import write
from composer.report.terminal import show

__all__ = ["show", "write"]
