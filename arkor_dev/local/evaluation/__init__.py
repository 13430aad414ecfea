"""Evaluation: measures whether an adapter is better than its base, and which checkpoint is best.

Independent of training methods: the training worker passes in the function that measures rows. Only worker
processes import numpy. Start with ``stage``, or with ``paired`` for the statistics.
"""
