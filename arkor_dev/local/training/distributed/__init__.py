"""Trains one job in several worker processes, each of which computes its share of every batch.

Start with ``run``. The workers find each other through ``rendezvous`` and communicate through
``process_group``.
"""
