"""``arkor-dev verify``: checks a folder against its provenance (``check``), or repeats it (``again``)."""
