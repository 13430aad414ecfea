"""Measurements of a run beside its losses: where the time goes, and the state of the machine.

``stopwatch`` imports torch: worker processes only.
"""
