"""Scores answers on custom rows by a metric. Start with ``scores``; ``scoring`` is a process."""
