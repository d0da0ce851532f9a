"""Tests of composer.mixture."""
