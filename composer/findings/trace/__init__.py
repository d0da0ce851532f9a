"""Explains steps of training by the rows that were in them."""

from composer.findings.trace.asked import Asked, read_asked
from composer.findings.trace.explain import overview, trace
from composer.findings.trace.found import Overview, Trace

__all__ = ["Asked", "Overview", "Trace", "overview", "read_asked", "trace"]
