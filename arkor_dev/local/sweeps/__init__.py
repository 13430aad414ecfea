"""Sweeps: search for better settings by successive halving, and judge the winner on rows of its own.

Start with ``service``: it adds ordinary jobs to the ordinary queue. ``plan`` decides what comes next,
``sampler`` which settings to try, and ``judging`` who has won.
"""
