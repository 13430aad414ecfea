"""Studio's aiohttp application: the page, the guards, and the API behind the page.

It may import every package but ``cli`` and ``local``. Start with ``app``; ``security`` holds the guards and
``api`` a thin module a resource.
"""
