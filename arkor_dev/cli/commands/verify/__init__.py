"""``arkor-dev verify``: is a folder as its provenance says (``check``), or made again (``again``)?"""
