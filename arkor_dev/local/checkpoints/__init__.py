"""Where a run can go on from: what of it lies on the disk, what it holds, and what it depends on.

``points`` and ``origin`` need the standard library alone and serve the backend too; ``state`` is for workers.
Start with ``points``.
"""
