"""Endpoints of this machine: what is served under which name, to whom, how much at once, and the log of it.

``deployments`` and ``requests`` are their tables in the jobs' data base, ``openai`` reads and writes OpenAI's
forms, and ``service`` is all of it for the routes (``server/endpoints``). ``inference.line`` says whose turn
it is.
"""
