"""Optional storage that all machines share for a job's checkpoints and resume points, by hash.

It is a shortcut on which nothing depends: files that are missing there, or have other bytes, go through the
driver as they would without it. ``shared`` reads and writes one job's files, checked and in limited time
(``watchdog``), in a ``folder`` or a ``remote`` store. ``node_side`` and ``driver_side`` use it on the node
and on this machine.
"""
