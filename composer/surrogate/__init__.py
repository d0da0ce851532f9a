"""Scores of mixtures that were not trained, predicted from those that were, and the mixture to train next."""

from composer.surrogate.choose import promise
from composer.surrogate.features import Features, Parts
from composer.surrogate.law import LogLinearLaw
from composer.surrogate.model import Prediction, Surrogate
from composer.surrogate.validate import Validation, cross_validate

__all__ = ["Features", "LogLinearLaw", "Parts", "Prediction", "Surrogate", "Validation", "cross_validate", "promise"]
