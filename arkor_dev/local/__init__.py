"""The local backend: the wire contract's ``/v1`` served by this machine, in a process of its own.

It imports nothing of Studio but the contract and the data, so Studio can treat it like any other backend.
torch and transformers are imported only in worker processes (the ``worker`` modules and what they use).
"""
