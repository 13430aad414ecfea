"""From a data set to what a step learns from: its rows, which are held out, their tokens, and the batches.

Only worker processes import this. Start with ``datasets``.
"""
