"""Embeddings of a data set's rows: similar rows, groups, and rows with a high loss under the model."""
