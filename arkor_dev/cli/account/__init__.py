"""Who is signed in where: ``login``, ``logout`` and ``whoami``, and the page that a sign-in comes back to.

It stands beside ``commands``, and rests on ``identity``. Start with ``login``.
"""
