"""What is wrong, or odd, with the rows of a data set, each with why it matters and what to do.

A module a kind of check; ``check`` runs them all. Memory does not grow with the data: a row leaves some bytes
of hashes in arrays and nothing else, and rows that are to be named are read a second time. ``masking`` knows
what may not be shown, and ``privacy`` what may not leave this machine: cards and uploads are held to it too.
"""
