"""Answers of a given form: JSON that fits a schema, token by token.

``asked`` finds what a question asks for; ``schemas`` reads a schema and refuses by name what is not enforced;
``check`` lets a limited process (``check_worker``) compile it before the question goes on; ``following`` says
in the process that answers which tokens may come. ``grammar`` is the one module that knows the library,
llguidance. Start with ``asked``.
"""
