"""A job on a node of a Ray cluster: the driver process here, and what runs there.

``driver`` is a process of its own between the backend and the cluster: it alone imports Ray, and speaks with
the backend as a training worker does, for one job after the other: each is a ``carried`` one, and what they
share is in ``kept``. On the node, ``there`` starts the very worker that would train here.
``parcel`` says what of a job travels there. ``answers`` reads what a node says, ``returns`` takes in the
files that come back: neither trusts it. ``endings`` is what ends a job without its worker's last word.
``access`` is who may be connected to at all, ``connection`` the way there, ``looking`` a look at a cluster.
``storage`` is what machines share, for what a job goes on from.
``away`` is how a job trains on while this machine is away, and is found again.
"""
