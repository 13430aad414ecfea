"""Training rows: their formats, how they are read, and what is wrong with them.

Studio inspects a data set before anything starts, and the local backend trains on it. Both must judge alike
and in the same words, so this package belongs to neither and imports only the contract. Start with
``reader``: a data set can be iterated, or read at any row. ``rows`` says what a row becomes.
"""
