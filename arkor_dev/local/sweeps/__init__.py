"""Sweeps: search for better settings by successive halving, and test the winner on separate rows.

Start with ``service``: it adds ordinary jobs to the ordinary queue. ``plan`` decides the next step,
``sampler`` which settings to try, and ``judging`` whether there is a winner.
"""
