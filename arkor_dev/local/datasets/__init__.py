"""The feature ``datasets``: shows the rows of a data set as a model sees them, before training.

``client`` is the server's side, ``worker`` the process that does the work, without torch; ``view`` is one
data set in that process. Rows are encoded by ``training.rows.encoding``, so the page shows exactly what is
trained on.
"""
