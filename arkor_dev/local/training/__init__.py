"""Training a LoRA adapter: the rows, the loop, the checkpoints. ``worker`` is the process that does it.

Only worker processes import this. Start with ``worker``, then ``preparation`` and ``run``; ``rows`` has what
is learned from.
"""
