"""The local backend's HTTP: an aiohttp application of its own that serves the contract's ``/v1``.

It may import every package of ``local``. Start with ``app``.
"""
