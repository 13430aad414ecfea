"""Who this Studio is: credentials, sign-in, refresh, the project's scope, and which backend it talks to.

It may import ``backend`` and what lies below. Start with ``connect``, which puts it together.
"""
