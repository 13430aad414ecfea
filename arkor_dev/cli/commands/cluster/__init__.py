"""``arkor-dev cluster``: ``status`` shows a cluster; ``choice`` selects the cluster for a command's jobs."""
