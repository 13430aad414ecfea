"""Endpoints of this machine: what is served under which name, to whom, how much at once, and the request log.

``service`` is all of it for the routes (``server/endpoints``). ``deployments`` and ``requests`` are their
tables in the jobs' database, ``openai`` and ``answers`` read and write OpenAI's forms, and
``inference.admission`` queues requests.
"""
