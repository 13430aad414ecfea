"""Compares a run's result with the model that it started from. Start with ``measure``."""
