"""Notices without a tab: a webhook and a command, when a job has finished, failed, paused or diverged.

Start with ``notifier``. Both ``arkor-dev start`` and the daemon follow jobs; a claim on disk ensures that
each notice is sent once. Nothing here can delay a job, a page or an exit. ``arkor.toml``'s table is read in
``project/toml/notify.py``.
"""
