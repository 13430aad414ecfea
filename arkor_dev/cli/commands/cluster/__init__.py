"""``arkor-dev cluster``: ``status`` looks at one. ``choice`` is how a command comes to that of its jobs."""
