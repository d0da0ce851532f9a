"""Answers: the final answer that a text states, and whether two of them are the same."""
