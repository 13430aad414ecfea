"""Studio's aiohttp application: the page, the guards, and the page's API.

May import every package but ``cli`` and ``local``. Start with ``app``; ``security`` has the guards, ``api``
one thin module for each resource.
"""
