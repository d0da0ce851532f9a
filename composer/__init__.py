"""composer: dataset mixtures composed exactly, and ablations of them with error bars, for LLM post-training."""

__version__ = "0.1.0"
