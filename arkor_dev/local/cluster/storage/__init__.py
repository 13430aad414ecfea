"""Where machines share what a job goes on from: each file by its hash, for the job's next machine.

It saves a way, and nothing depends on it: what is not there, or has other bytes, comes through the driver as
it would without. ``shared`` is one job's files there: whole, checked, and in limited time (``patience``). It
has them in a ``folder``, or ``remote``, in a store with an address. Both sides use it, each as far as it sees
the place: ``node_share`` on a node, ``driver_share`` here.
"""
