"""Training a LoRA adapter: data, the loop, the checkpoints. ``worker`` is the process that does it.

Only worker processes import this. Start with ``worker``, then ``run``.
"""
