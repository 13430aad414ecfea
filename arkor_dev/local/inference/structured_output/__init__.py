"""Structured output: JSON that fits a schema, enforced token by token.

Start with ``request``, which finds the requested format. ``schemas`` parses a schema and refuses what cannot
be enforced, ``check`` compiles it in a limited process (``check_worker``) before the request continues, and
``constraint`` determines the allowed tokens during generation. Only ``grammar`` uses the library, llguidance.
"""
