"""Answering: a worker process that holds models, and the client that asks it.

``client`` runs in the backend and loads no model; ``worker`` and ``engine`` run in the process.
Start with ``client``.
"""
