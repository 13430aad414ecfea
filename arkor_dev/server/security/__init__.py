"""Who may speak to Studio: the guards of a request, and of a connection before there is one.

Nothing here knows a route. Start with ``guards``; ``SECURITY.md`` is the list of what is guarded against.
"""
