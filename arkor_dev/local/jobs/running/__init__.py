"""Runs a job: its worker process as the backend sees it (``worker_session``), from preparation to its end."""
