"""Shared by every package of Studio: a launch's settings, atomic writes, plain text.

It imports nothing of Studio but ``contract``. Start with ``settings``.
"""
