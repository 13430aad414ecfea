"""Base models: which there are, where they are stored, and how they are downloaded.

Start with ``catalog``. ``worker`` is the process that downloads; only it imports the libraries.
"""
