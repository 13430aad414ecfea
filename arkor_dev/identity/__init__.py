"""Identity of this Studio: credentials, sign-in, token refresh, the project's scope, and the local backend.

It may import ``backend`` and the layers below. ``arkor_dev.connection`` puts everything together.
"""
