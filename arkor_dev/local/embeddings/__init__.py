"""Embeddings of a data set's rows: similar rows, groups of rows, and rows that surprise the model."""
