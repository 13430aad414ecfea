"""``arkor-dev verify``: checks a folder against its provenance (``check``), or repeats the training run
(``again``).
"""
