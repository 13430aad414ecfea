"""A local backend on another machine, reached by OpenSSH: installed, supplied with files, started, spoken to.

``backend`` is where to start. ``far_side`` is the one program that runs over there before anything is
installed; ``keeper`` keeps the backend alive there when nobody is connected.
"""
