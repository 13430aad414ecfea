"""The wire contract of Studio, its backend and the page: shapes, and rules that all sides share.

Imported by Studio and by the local backend; imports only the standard library. Start with ``shapes``,
``events`` and ``errors``; ``docs/contract.md`` is its description.
"""
