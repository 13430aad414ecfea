"""Worker processes of the local backend: starting and stopping them, the pipe, the messages on it.

Everything of ``local`` may import this. Start with ``process``.
"""
