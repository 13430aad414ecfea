"""Training on a node of a Ray cluster: the driver process on this machine, and what runs on the node.

Start with ``driver``: the only process with a connection to the cluster. To the backend it looks like a
training worker. ``job_session`` runs one job; ``driver_cache`` keeps connection and actor for the next.

- Connecting: ``access`` (whether this cluster may be used), ``connection``, ``code_package`` (our code).
- Workers: ``resources`` (what a job requests), ``actor_client`` and ``worker_group`` (its actors),
  ``reattach`` (finds an actor that kept training while this machine was disconnected).
- Data: ``outgoing_files``, ``incoming_files`` and ``node_messages``. The last two trust nothing that a node
  sends. ``protocol`` has the constants and formats of both ends.
- ``node`` runs on the cluster, ``storage`` is optional storage that all machines share (``driver_storage``
is its driver's side), ``tasks`` are one-shot processes, ``errors`` has the final messages of jobs whose
worker sends none.
"""
