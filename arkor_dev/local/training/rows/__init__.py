"""Reads, splits, tokenizes and batches a data set's rows, in workers only. Start with ``datasets``."""
