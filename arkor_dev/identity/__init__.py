"""Identity of this Studio: credentials, sign-in, token refresh, the project's scope, and which backend it
uses.

It may import ``backend`` and the layers below. Start with ``connect``, which puts everything together.
"""
