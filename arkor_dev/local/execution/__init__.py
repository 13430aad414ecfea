"""What runs a job: a worker process of this machine, or a cluster, behind one interface.

Jobs, their store, their events and how they go on know ``seam`` alone, and ``choice``, which picks one. Start
there; ``here`` is this machine, ``cluster`` a node of another (``local/cluster`` has the process for that, of
which ``drivers`` keeps some for the next job).
"""
