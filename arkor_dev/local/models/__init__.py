"""Base models: which there are, where they lie, and how they are fetched.

``worker`` is the program that fetches; it alone loads the libraries. Start with ``catalog``.
"""
