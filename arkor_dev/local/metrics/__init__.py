"""What is measured of a run beside its losses: where the time goes, and how the machine is doing.

``stopwatch`` brings torch: worker processes only.
"""
