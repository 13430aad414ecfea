"""Deployments served through Studio at ``/e/<slug>/v1``: OpenAI's API for other programs.

Callers authenticate with a key of the deployment; the page's token is not accepted. ``routes`` forwards
calls; ``security/guards.py`` first refuses what a web page must not do.
"""
