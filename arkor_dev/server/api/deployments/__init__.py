"""The backend's endpoints: ``routes`` forwards calls that manage them. ``server/endpoints`` serves their
callers.
"""
