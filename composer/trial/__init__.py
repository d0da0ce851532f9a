"""Trials: one mixture, one model, one seed → a trained checkpoint, per-item benchmark results, a record."""
