"""The feature ``datasets``: rows of a data set as a model sees them, shown before training.

``client`` is the server's side, ``worker`` the process that does the work, without torch; ``view`` is one
data set in it. Rows are encoded by ``training.rows.encoding``, so what is shown is what is trained on.
"""
