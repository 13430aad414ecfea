"""Whether an adapter is better than its base, how sure that is, and which of its checkpoints was best.

It knows nothing of how models are trained: the training worker hands it what measures rows. numpy is imported
in worker processes alone. Start with ``stage``, or with ``paired`` for the statistics.
"""
