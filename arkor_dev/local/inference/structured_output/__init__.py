"""Answers of a given form: JSON that fits a schema, enforced token by token.

Start with ``request``, which finds the format that a request asks for. ``schemas`` reads a schema and refuses
what is not enforced, ``check`` compiles it in a limited process (``check_worker``) before the request goes
on, ``constraint`` says during generation which tokens may come next. Only ``grammar`` knows the library,
llguidance.
"""
