"""From the settings of a launch to a backend: the managed one, the local one, or one reached over ssh.

Start with ``connect``.
"""
