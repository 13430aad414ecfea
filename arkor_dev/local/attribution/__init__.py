"""Finds training rows that may have caused an answer, and rows that contradict others; proves it by training
without them.

For an answer, rows are proposed by lexical likeness (``lexical``). Contradicting rows are found by their
gradients (``row_gradients``, projected by ``projection``, compared in ``contradictions``). A proof trains the
same job again with weight zero for some rows (``service``, ``training.rows.left_out``). Only ``service``
belongs to the backend's process; start with ``worker``.
"""
