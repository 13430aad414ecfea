"""Access control: guards for requests, and for connections before their first request.

Independent of routes. Start with ``guards``; ``SECURITY.md`` lists the threats.
"""
