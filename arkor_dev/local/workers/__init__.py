"""Worker processes of the local backend: starting and stopping them, and the messages on their pipes.

Every package of ``local`` may import this one. Start with ``process``, the backend's side; ``link`` is the
worker's side.
"""
