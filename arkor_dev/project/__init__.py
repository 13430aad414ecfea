"""The user's folder: ``arkor.toml``, TypeScript projects, data sets, and the command that trains.

It may import ``processes`` and the layers below. Start with ``manifest``.
"""
