"""Runs a job in a worker process of this machine or on a cluster, behind one interface.

Start with ``interface``. The job store, the queue and resuming know only that and ``choice``, which selects
an implementation: ``local_process`` or ``cluster``. ``drivers`` is a pool of the cluster's driver processes
(implemented in ``local/cluster``), ``leases`` are this machine's records of its jobs on clusters.
"""
