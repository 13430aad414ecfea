"""Endpoints of this machine: names, access, concurrency, and the request log.

``service`` combines them for the routes (``server/endpoints``). ``deployments`` and ``requests`` are their
tables in the jobs' database, ``openai`` and ``answers`` convert from and to OpenAI's format, and
``inference.admission`` queues requests.
"""
