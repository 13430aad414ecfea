"""Training rows that may be behind an answer, rows that contradict others, and the proof by training without.

Rows are proposed for an answer by their words (``lexical``). Contradicting rows are found by their gradients
(``row_gradients``, projected by ``projection``, compared in ``contradictions``). A proof
is the same job with weight zero for some rows (``service``, ``training.rows.left_out``). Only ``service``
belongs to the backend's process; start with ``worker``.
"""
