"""The feature ``datasets``: rows of a data set as a model sees them, shown before anything is trained.

``client`` is the server's side, ``worker`` the process that does the work, without torch; ``view`` is one
data set in it. What a row becomes is ``training.rows.encoding``'s, so that what is shown is what is trained.
"""
