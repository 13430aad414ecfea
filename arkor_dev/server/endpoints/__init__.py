"""Deployments that the backend serves through Studio, at ``/e/<slug>/v1``: OpenAI's API for other programs.

The page's token is neither needed nor accepted here, a key of the deployment is. ``routes`` passes calls on;
what a web page must not do is refused in ``security/guards.py``, before any of it.
"""
