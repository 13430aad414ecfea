"""Installs, supplies, starts and calls a local backend on another machine, over OpenSSH.

Start with ``backend``. ``far_side`` is the one program that runs over there before anything is
installed; ``keeper`` keeps the backend alive there when nobody is connected.
"""
