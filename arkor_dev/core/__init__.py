"""Shared by every package of Studio: a launch's settings, atomic writes, plain text.

It imports no other package of Studio but ``contract``. Start with ``settings``.
"""
