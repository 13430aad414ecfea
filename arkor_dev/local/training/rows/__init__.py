"""From a data set to training batches: reads, splits, tokenizes and batches the rows.

Imported by worker processes only. Start with ``datasets``.
"""
