"""Training: reads the rows, runs the loop and writes checkpoints. ``worker`` is the process that runs it.

Imported by worker processes only. Start with ``worker``, then ``preparation`` and ``run``; ``rows`` prepares
the examples.
"""
