"""The local backend: the wire contract's ``/v1`` served by this machine, in a process of its own.

It imports nothing of Studio but the contract's names, so Studio can treat it like any other backend.
torch and transformers are imported in the worker processes alone (the ``worker`` modules and what they use).
"""
