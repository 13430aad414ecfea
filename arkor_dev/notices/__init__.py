"""Notices without a tab: a webhook and a command, when a job has finished, failed, paused or met no number.

``arkor-dev start`` and the daemon both follow jobs, and a claim on the disk sees to it that each notice goes
out once. Nothing here can hold up a job, a page or an end. Start with ``notifier``; ``arkor.toml``'s table
is read in ``project/toml/notify.py``.
"""
