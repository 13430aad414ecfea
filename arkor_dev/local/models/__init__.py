"""Finds, stores and downloads base models.

Start with ``catalog``. ``worker`` is the process that downloads; only it imports the libraries.
"""
