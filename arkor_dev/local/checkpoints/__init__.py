"""Resuming a run: its resume points on disk, their contents, and the inputs that the run depends on.

Start with ``resume_points``, which like ``origin`` needs only the standard library and is also used by the
backend; ``state`` is for workers.
"""
