"""Training rows: which formats there are, how they are read, and what is wrong with them.

Studio looks at a data set before anything is started and the local backend trains on it; both have to judge
alike and in the same words, so this package belongs to neither and imports the contract alone. Start with
``reader``: what it opens can be walked through or read at any row. ``rows`` says what a row becomes.
"""
