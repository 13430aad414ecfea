"""Training on a node of a Ray cluster: the driver process on this machine, and what runs on the node.

Start with ``driver``: the only process that holds a connection to the cluster. To the backend it looks like
a training worker. Each job that it runs is a ``job_session``; ``driver_cache`` keeps what the next job can
reuse.

- Connecting: ``access`` (may this cluster be used?), ``connection``, ``code_package`` (our code on nodes).
- Workers: ``resources`` (what a job requests), ``actor_client`` and ``worker_group`` (its actors),
  ``reattach`` (finding an actor that trained on while this machine was away).
- Data: ``outgoing_files``, ``incoming_files`` and ``node_messages``. The last two trust nothing that a node
  sends. ``protocol`` is what both ends agree on.
- ``node`` runs on the cluster, ``storage`` is an optional place that all machines share, ``tasks`` are
  one-shot processes, ``errors`` says how a job ends when its worker sends no final message.
"""
