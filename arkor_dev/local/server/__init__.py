"""The local backend's HTTP server: an aiohttp application that serves the contract's ``/v1``.

It may import every package of ``local``. Start with ``app``.
"""
