"""Deletes rows from a trained adapter: trains it again from before their first use, and lists their copies.

Start with ``service``. The training itself is in ``training.earlier_run``; ``search`` looks for the rows'
texts by the hashes of their passages (``data.passages``), in a process of its own (``search_worker``).
"""
