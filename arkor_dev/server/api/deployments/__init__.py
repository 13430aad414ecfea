"""Endpoints of the backend: ``routes`` passes their calls on. For their callers: ``server/endpoints``."""
