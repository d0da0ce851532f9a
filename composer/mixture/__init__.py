"""Mixtures: quotas, size and seed turned into a definite list of a pool's rows, and its export."""

from composer.mixture.apportion import apportion
from composer.mixture.compose import CategoryTally, Mixture, Tally, compose
from composer.mixture.edits import apply_edits
from composer.mixture.export import export
from composer.mixture.manifest import manifest

__all__ = ["CategoryTally", "Mixture", "Tally", "apply_edits", "apportion", "compose", "export", "manifest"]
