"""Trains a model: rows, loop and checkpoints. ``worker`` is the process that does it.

Imported by worker processes only. Start with ``worker``, then ``preparation`` and ``run``; ``rows`` prepares
the examples.
"""
