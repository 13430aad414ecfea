"""Logs and traces of model calls, converted to rows: each conversation once, with its tools and calls.

Start with ``convert``, which reads files and writes rows. ``formats`` lists the known formats, one module
each; ``messages`` reads a message in any spelling of theirs. Records are untrusted: one that cannot be
converted becomes a `RowError` with the reason, and the next one follows.
"""
