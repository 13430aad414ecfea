"""A job on a cluster while this machine is away, and what is done when it is back.

On the node ``spool`` keeps what the worker says until it is known here. Here ``attaching`` finds a job's
place again and has it prove that it is the one; ``removing`` is the process that removes what nobody needs.
What this machine knows of its places is in ``execution.leases``.
"""
