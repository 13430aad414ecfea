"""From a data set to training batches: reading, holding out, tokenizing, batching.

Imported by worker processes only. Start with ``datasets``.
"""
