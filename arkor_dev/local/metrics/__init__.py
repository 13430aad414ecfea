"""Measurements of a run besides its losses: how its time is spent, and the state of the machine.

Only worker processes may import ``stopwatch``, which imports torch.
"""
