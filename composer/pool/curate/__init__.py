"""Curating: what becomes of the rows of sources on their way into a pool, stage by stage."""
