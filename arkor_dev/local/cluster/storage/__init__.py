"""Optional storage that all machines share for a job's checkpoints and resume points, by hash.

It is an optional shortcut: files that are missing there, or differ, are sent through the driver as usual.
``shared`` reads and writes one job's files, with checks and time limits (``watchdog``), in a ``folder`` or a
``remote`` store. ``node_side`` uses it on the node, and ``cluster.driver_storage`` on this machine.
"""
