"""Designs that a recipe names: each turns one mixture into a family of arms that answers one kind of question."""

from composer.study.designs.expand import Design, Point, expand, pool_problems

__all__ = ["Design", "Point", "expand", "pool_problems"]
