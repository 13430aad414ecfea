"""The wire between Studio, its backend and the page: shapes, and what all sides must read alike.

Both Studio and the local backend import from here; this package imports the standard library alone.
Start with ``shapes``, ``events`` and ``errors``; ``docs/contract.md`` is the same in words.
"""
