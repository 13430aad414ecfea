"""What runs a job: a worker process of this machine, behind an interface that says no more than is needed.

Jobs, their store, their events and how they go on know no worker but by ``seam``. Start there; ``here`` is
this machine.
"""
