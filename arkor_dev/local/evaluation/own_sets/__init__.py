"""Answers on rows of one's own, scored by a metric. Start with ``scores``; ``scoring`` is a process."""
