"""The person's folder: ``arkor.toml``, TypeScript projects, data sets, and the command that trains.

It may import ``processes`` and what lies below. Start with ``manifest``.
"""
