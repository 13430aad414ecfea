"""Sign-in commands: ``login``, ``logout`` and ``whoami``, and the page that a browser sign-in ends on.

Built on ``identity``. Start reading with ``login``.
"""
