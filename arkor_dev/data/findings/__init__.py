"""Problems and oddities in the rows of a data set, each with why it matters and what to do.

There is a module for each kind of check; ``check`` runs them all. Memory does not grow with the data: a row
leaves some bytes of hashes in arrays, and rows to be listed are read a second time. ``masking`` knows what
must not be shown, and ``privacy`` what must not leave this machine, which also applies to cards and uploads.
"""
