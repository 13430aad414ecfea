"""Resuming a run: its resume points on disk, what they hold, and what the run depends on.

Start with ``resume_points``, which like ``origin`` needs only the standard library and serves the backend,
too; ``state`` is for workers.
"""
