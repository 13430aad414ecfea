"""Training one job in several worker processes, each on its share of every batch.

Start with ``run``. ``rendezvous`` is how the workers find each other, ``process_group`` how they communicate.
"""
