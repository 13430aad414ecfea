"""Runs a job from preparation to its end; ``worker_session`` is the backend's side of its worker process."""
