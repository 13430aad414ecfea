"""Which training rows are behind an answer, and which of them hurt.

A row's influence on an answer is the inner product of their gradients (``row_gradients``, projected by
``projection``), kept in a store for each job (``store``) and ranked in ``ranking``. A ranking is an estimate:
``proof`` trains the job again without the rows. Imported by the backend, except for the modules that import
torch. Start with ``worker``.
"""
